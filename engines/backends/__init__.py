"""Where a proposal is computed: onnxruntime or torch."""
