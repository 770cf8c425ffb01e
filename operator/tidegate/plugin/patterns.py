"""Regular expressions as the API server reads them (RE2), for Python's `re`."""

import re
import unicodedata

_CATEGORY = re.compile(r"p\{([A-Z][a-z]?)\}")


def found(pattern: str, text: str) -> bool:
    """Whether a pattern matches somewhere in a text."""
    return re.search(_translated(pattern, text), text, re.ASCII) is not None


def _translated(pattern: str, text: str) -> str:
    r"""The pattern with what Python reads otherwise: `$` is the very end, and `\p{..}` a set of characters.

    Of those sets only the characters that the text has can matter, so only they are spelled out.
    """
    parts, at, inside = [], 0, False
    while at < len(pattern):
        char = pattern[at]
        if char == "\\":
            category = _CATEGORY.match(pattern, at + 1)
            if category:
                members = _members(category[1], text)
                parts.append(members if inside else f"[{members}]")
                at = category.end()
            else:
                parts.append(r"\Z" if pattern[at + 1] == "z" else pattern[at : at + 2])
                at += 2
            continue
        if char == "[" and not inside:
            # A bracket that closes right at the beginning is one of the set.
            opening = re.compile(r"\[\^?\]?").match(pattern, at)
            parts.append(opening[0] if opening else char)
            at += len(parts[-1])
            inside = True
            continue
        if char == "[":
            char = r"\["
        inside = inside and char != "]"
        parts.append(r"\Z" if char == "$" and not inside else char)
        at += 1
    return "".join(parts)


def _members(category: str, text: str) -> str:
    members = {char for char in text if unicodedata.category(char).startswith(category)}
    if members:
        return "".join(re.escape(char) for char in sorted(members))
    # An empty set is no set in a class: some character that the text has not.
    return next(f"\\U{code:08x}" for code in range(0xE000, 0xF8FF) if chr(code) not in text)
