"""The canonical text of a graph: equal graphs give equal text, on every machine."""

from collections.abc import Iterator

from archc.ir.graph import Graph, Hyper, Node, Output, Reference


def dump(graph: Graph) -> str:
    """Nodes in order under their regions, numbered anew so that removed nodes leave no gap."""
    numbers = {node.id: i for i, node in enumerate(graph.nodes())}
    lines = [f"net {graph.name}({_arguments(graph.info.parameters)})"]
    lines += _body(graph, numbers)
    lines += [f"{_kind(output)} %{numbers[output.node]}" for output in graph.outputs]
    return "\n".join(lines) + "\n"


def _kind(output: Output) -> str:
    return "return" if output.name is None else f"exit {output.name}"


def _arguments(parameters: tuple[tuple[str, Hyper], ...]) -> str:
    return ", ".join(f"{name}={hyper_text(value)}" for name, value in parameters)


def hyper_text(value: Hyper) -> str:
    """A compile-time value as the language would write it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    if isinstance(value, Reference):
        return value.name
    if isinstance(value, tuple):
        return f"[{', '.join(map(hyper_text, value))}]"
    return repr(value)


def _body(graph: Graph, numbers: dict[int, int]) -> Iterator[str]:
    open_regions: list[int] = []
    for node in graph.nodes():
        chain = _chain(graph, node)
        common = 0
        while common < min(len(chain), len(open_regions)) and chain[common] == open_regions[common]:
            common += 1
        for depth in range(common, len(chain)):
            region = graph.regions[chain[depth]]
            block = f"{region.block}({_arguments(region.parameters)})" if region.block else "scope"
            yield f"{'  ' * (depth + 1)}{'.'.join(region.path)}: {block}"
        open_regions = chain
        yield f"{'  ' * (len(chain) + 1)}{_line(graph, node, numbers)}"


def _chain(graph: Graph, node: Node) -> list[int]:
    """The regions around a node, outermost first, the net itself left out."""
    chain = []
    region = graph.regions[node.region]
    while region.parent is not None:
        chain.append(region.id)
        region = graph.regions[region.parent]
    return chain[::-1]


def _line(graph: Graph, node: Node, numbers: dict[int, int]) -> str:
    operands = ", ".join(f"%{numbers[operand]}" for operand in graph.operands(node.id))
    where = f" @ {'.'.join(node.layer.path)}" if node.layer.path else ""
    return f"%{numbers[node.id]} {node.name}: {node.type} = {node.op}({operands}){where}"
