"""One spelling for words that are said alike and mean the same: "litre" and "liter".

Transcripts come in British and in American spelling, and nobody hears the difference.
"""

import re
from typing import Final

from engines.training.text import spoken

_RULES: Final = [
    (re.compile(rf"\b{pattern}"), as_written)
    for pattern, as_written in (
        (r"((?:milli|centi|deci|kilo)?(?:met|lit)|(?:amphi)?theat|cent|fib)re(s?)\b", r"\1er\2"),
        (r"(arm|behavi|col|fav|flav|harb|hon|hum|lab|neighb|parl|rum|vap)our", r"\1or"),
        ("(apolog|author|character|critic|custom|memor)is(?=e|ing|ation)", r"\1iz"),
        ("(organ|priorit|real|recogn|summar)is(?=e|ing|ation)", r"\1iz"),
        (r"(cancel|dial|fuel|label|model|signal|travel)l(?=ed|ing|er)", r"\1"),
        (r"(catalog|dialog|program)(?:ue|me)(s?)\b", r"\1\2"),
        (r"(def|lic)ence\b", r"\1ense"),
        (r"cheque(s?)\b", r"check\1"),
        (r"tyre(s?)\b", r"tire\1"),
        (r"grey\b", "gray"),
        (r"jewellery\b", "jewelry"),
        (r"aluminium\b", "aluminum"),
        (r"okay\b", "ok"),
        (r"([ap]) m\b", r"\1m"),
        (r"to do (?=lists?\b)", "todo "),
    )
]


def in_one_spelling(text: str) -> str:
    """The words of `text` as they are said (`engines.training.text.spoken`), spelled one way."""
    said = spoken(text)
    for pattern, as_written in _RULES:
        said = pattern.sub(as_written, said)
    return said
