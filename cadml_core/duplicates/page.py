"""Groups as one HTML file that needs nothing else: no script, no font, no picture from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from cadml_core.duplicates.edges import Edge
from cadml_core.duplicates.leading import RULES
from cadml_core.duplicates.plan import PLANNED
from cadml_core.duplicates.report import Report, ReportedGroup, ReportedPart
from cadml_core.duplicates.scope import Scope
from cadml_core.duplicates.spreadsheet import best_edges
from cadml_core.printable import printable
from cadml_core.relations.relation import Kind
from cadml_core.relations.words import length

SHOWN_GROUPS, SHOWN_PARTS = 500, 50
"""So many groups of a kind, and parts of a group, are on the page: it is for reading."""

TITLES: dict[Kind, tuple[str, str]] = {
    "identical": ("Identical files", "The same bytes, several times."),
    "same": ("Same part", "Proved to be one part: moved, turned, or in another format."),
    "mirrored": ("Mirror images", "Left and right of one design. Both are usually needed."),
    "scaled": ("Other sizes", "The same shape, larger or smaller: a series, or a file in a wrong unit."),
    "multiple": ("Several copies in one file", "A file that holds nothing but copies of a part."),
    "contains": ("Built into others", "Assemblies that hold a part."),
    "same_within_mesh_error": ("Perhaps the same", "Not proved. Compare them before you act."),
    "similar": ("Decided by people", "Nothing was proved; somebody decided that they are one part."),
}
EVIDENCE = {
    "bytes": "the same bytes",
    "features": "faces, edges and vertices fall on one another",
    "features_relaxed": "faces, edges and vertices fall on one another, some of another type",
    "mesh": "the surfaces lie on one another, measured both ways",
}


def page(report: Report, title: str = "Duplicate parts") -> str:
    """Return a report as HTML."""
    return "\n".join([_HEAD.replace("TITLE", _text(title)), *_body(report, title), "</body></html>\n"])


def _body(report: Report, title: str) -> Iterator[str]:
    yield f"<h1>{_text(title)}</h1>"
    yield f"<p>{_summary(report)}</p>"
    yield "<table class='counts'><tr><th>kind</th><th>groups</th><th>meaning</th></tr>"
    for kind, (name, meaning) in TITLES.items():
        if count := report.counts.get(kind):
            yield (
                f"<tr><td><a href='#{kind}'>{name}</a></td><td class='n'>{count:,}</td>"
                f"<td>{meaning}</td></tr>"
            )
    yield "</table>"
    yield "<p class='rules'>In bold: the part that is proposed to be kept, which is, in this order, "
    yield "; then ".join(map(_text, RULES)) + ".</p>"
    for kind in TITLES:
        yield from _section(kind, [one for one in report.groups if one.kind == kind], report.counts)


def _summary(report: Report) -> str:
    when = f"Compared on {report.run.started[:16].replace('T', ' ')} UTC. " if report.run else ""
    waiting = f" <b>{report.waiting:,} files were not compared yet.</b>" if report.waiting else ""
    return f"{when}{report.parts:,} parts{_text(_of(report.scope))}.{waiting}"


def _of(scope: Scope) -> str:
    said = [f" below {scope.folder}"] if scope.folder else []
    said += [f" of the project {scope.project}"] if scope.project else []
    said += [f" as {' and '.join(scope.formats)}"] if scope.formats else []
    said += [", whose materials agree"] if scope.same_material else []
    said += [", across projects"] if scope.across_projects else []
    return "".join(said)


def _section(kind: Kind, groups: Sequence[ReportedGroup], counts: dict[Kind, int]) -> Iterator[str]:
    if not groups:
        return
    yield f"<h2 id='{kind}'>{TITLES[kind][0]}</h2><p>{TITLES[kind][1]}</p>"
    for one in groups[:SHOWN_GROUPS]:
        yield from _group(one)
    if (more := counts.get(kind, 0) - SHOWN_GROUPS) > 0:
        yield f"<p class='more'>… and {more:,} more groups; the CSV lists all.</p>"


def _group(one: ReportedGroup) -> Iterator[str]:
    decided = " · decided" if one.decided else ""
    yield f"<h3 id='{one.id}'>{one.size:,} parts <small>{one.id}{decided}</small></h3>"
    facts = [name for name in _FACTS if any(getattr(part, name) for part in one.parts)]
    heads = "".join(f"<th>{head}</th>" for head in ("part", *facts, "where", "what it is", "proof"))
    yield f"<table><tr>{heads}</tr>"
    edges = best_edges(one)
    for part in one.parts[:SHOWN_PARTS]:
        yield _row(one, part, facts, _told(edges.get(part.id), part, one))
    if (more := one.size - min(len(one.parts), SHOWN_PARTS)) > 0:
        width = 4 + len(facts)
        yield f"<tr><td colspan='{width}' class='more'>… and {more:,} more; the CSV lists all.</td></tr>"
    yield "</table>"


_FACTS = ("format", "project", "material")


def _told(edge: Edge | None, part: ReportedPart, one: ReportedGroup) -> tuple[str, str]:
    """Return what a part is, and what proves it."""
    if part.id == one.lead:
        return ("keep", "") if one.kind in PLANNED else ("", "")
    if edge is None:
        return "", ""
    names = {listed.id: listed.name for listed in one.parts}
    other = edge.a if edge.b == part.id else edge.b
    named = names.get(other, other)
    words = edge.words if edge.b == part.id else f"{named}: {edge.words}"
    if edge.b == part.id and other != one.lead:
        words += f" (to {named})"
    proof = EVIDENCE[edge.evidence] if edge.certified else "not proved"
    if edge.tolerance and edge.certified:
        proof += f"; within {length(edge.tolerance)}"
    if edge.reason and edge.reason not in words:
        proof += f"; {edge.reason}"
    if edge.via is not None:
        proof += f"; by way of {names.get(edge.via, 'a part that is not listed')}"
    return words, proof + (f"; decided: {edge.decision}" if edge.decision else "")


def _row(one: ReportedGroup, part: ReportedPart, facts: Sequence[str], told: tuple[str, str]) -> str:
    name = f"<b>{_text(part.name)}</b>" if part.id == one.lead else _text(part.name)
    given = "".join(f"<td class='fact'>{_text(getattr(part, fact) or '')}</td>" for fact in facts)
    where = _text(part.path or "").replace("/", "/<wbr>")
    rest = "".join(f"<td>{_text(text)}</td>" for text in told)
    return f"<tr><td>{name}</td>{given}<td>{where}</td>{rest}</tr>"


def _text(text: str) -> str:
    """Return text as it is shown, whatever it holds."""
    return escape(printable(text))


_HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>TITLE</title>
<style>
body { font: 15px/1.45 system-ui, sans-serif; color: #1c2127; margin: 2rem auto; max-width: 76rem;
  padding: 0 1rem }
h1 { font-size: 1.6rem } h2 { font-size: 1.25rem; margin-top: 2.5rem; border-bottom: 2px solid #d4d9df }
h3 { font-size: 1rem; margin: 1.6rem 0 .3rem } small { color: #67717c; font-weight: normal }
table { border-collapse: collapse; width: 100%; font-size: .9rem } .counts { width: auto }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem; border-bottom: 1px solid #e3e7eb;
  overflow-wrap: break-word }
th { color: #67717c; font-weight: 600 } .n { text-align: right } .more, .rules { color: #67717c }
td:first-child { min-width: 9rem } .fact { white-space: nowrap }
@media (prefers-color-scheme: dark) { body { background: #16191d; color: #e4e8ec } a { color: #8ab4f8 }
  th, td { border-color: #333a42 } h2 { border-color: #333a42 } }
@media print { body { margin: 0; max-width: none } h3 { break-after: avoid } }
</style></head><body>"""
