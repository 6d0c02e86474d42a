"""Intent handlers that come with the assistant; each uses only `assistant.plugin`."""
