"""`##` comments: the documentation directly above a net, a block or a parameter."""

from archc.diagnostics import Source


def doc_comment(source: Source, offset: int) -> str:
    """The text of the `##` lines that end on the line above `offset`, without their marks.

    Empty unless what stands at `offset` is the first thing on its line. Lines of three and more
    `#` are rulers, not documentation.
    """
    number, column = source.position(offset)
    if source.line(number)[: column - 1].strip():
        return ""
    lines: list[str] = []
    while number > 1:
        number -= 1
        line = source.line(number).strip()
        if not line.startswith("##") or line.startswith("###"):
            break
        lines.append(line[2:].removeprefix(" "))
    return "\n".join(reversed(lines)).strip()
