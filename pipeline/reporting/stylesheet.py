"""How the report looks: light, dark and on paper.

Colours after Okabe and Ito 2008, whose palette people with any kind of colour vision tell apart.
"""

_PALETTE = """\
:root {
  color-scheme: light dark;
  --paper: #ffffff; --ink: #1c1f23; --soft: #5c636c; --rule: #e2e5e9; --shade: #f6f7f9;
  --right: #00694c; --wrong: #b03a00;
  --c0: #1c1f23; --c1: #8b929b; --c2: #0072b2; --c3: #d55e00; --c4: #009e73; --c5: #b8559a;
  --c6: #c98a00; --c7: #3aa3da;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #15181c; --ink: #e8eaed; --soft: #a2a9b2; --rule: #30353c; --shade: #1d2126;
    --right: #4cc9a0; --wrong: #ff9a5c;
    --c0: #e8eaed; --c1: #868d96; --c2: #4fa8e0; --c3: #ff8340; --c4: #2fc79a; --c5: #e08cc4;
    --c6: #f0b429; --c7: #85cdf5;
  }
}
"""

_SVG = """\
svg text { fill: var(--soft); font-size: 12px; }
svg text.title { font-size: 12px; fill: var(--ink); }
svg text.small { font-size: 10px; }
svg .grid { stroke: var(--rule); }
svg .mark { stroke: var(--soft); stroke-dasharray: 4 4; }
svg .mean { stroke: currentColor; stroke-width: 2; }
svg polyline { stroke-width: 1.5; stroke-linejoin: round; }
svg .dot { fill: currentColor; stroke: var(--paper); stroke-width: .8; fill-opacity: .9; }
.c0 { color: var(--c0); } .c1 { color: var(--c1); } .c2 { color: var(--c2); }
.c3 { color: var(--c3); } .c4 { color: var(--c4); } .c5 { color: var(--c5); }
.c6 { color: var(--c6); } .c7 { color: var(--c7); }
"""

_ALONE = """\
svg { font-family: system-ui, "DejaVu Sans", sans-serif; background: var(--paper); }
"""

DRAWN = _PALETTE + _SVG + _ALONE
"""Of a picture in a file of its own."""

STYLESHEET = (
    _PALETTE
    + """\
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 3rem 1.5rem 5rem; max-width: 64rem; background: var(--paper);
  color: var(--ink); font: 16px/1.55 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
}
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .75rem; letter-spacing: -.01em; }
h2 { font-size: 1.2rem; margin: 3rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.75rem 0 .5rem; }
p { margin: .5rem 0; max-width: 46rem; }
.lead { font-size: 1.15rem; }
.note, figcaption, caption { color: var(--soft); font-size: .875rem; }
figure { margin: 1.25rem 0; max-width: 52rem; break-inside: avoid; }
figcaption { margin-top: .25rem; max-width: 46rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .875rem; }
caption { caption-side: bottom; text-align: left; padding-top: .5rem; }
th, td { padding: .4rem .55rem; text-align: right; border-bottom: 1px solid var(--rule);
  white-space: nowrap; font-variant-numeric: tabular-nums; }
th { font-weight: 600; color: var(--soft); font-size: .8rem; vertical-align: bottom; }
thead th { white-space: normal; }
tbody th { color: var(--ink); font-size: inherit; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
.best th, .best td { background: var(--shade); }
.above th, .above td { border-bottom-color: var(--soft); }
.quiet { color: var(--soft); font-weight: 400; }
svg { display: block; width: 100%; height: auto; }
"""
    + _SVG
    + """\
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; margin: 0 0 .5rem; padding: 0;
  list-style: none; font-size: .875rem; }
.legend li { display: flex; align-items: center; gap: .4rem; }
.swatch { width: .9rem; height: .9rem; flex: none; }
.sentences { list-style: none; margin: 0; padding: 0; }
.sentences > li { border-top: 1px solid var(--rule); padding: .6rem 0; break-inside: avoid; }
.sentences p { margin: .15rem 0; display: grid; grid-template-columns: 13rem 1fr; gap: .75rem;
  max-width: none; overflow-wrap: anywhere; }
.sentences .who { color: var(--soft); font-size: .8rem; padding-top: .15rem; }
mark { background: none; color: inherit; border-bottom: 2px solid; padding-bottom: 1px; }
mark.right { border-color: var(--right); }
mark.wrong { border-color: var(--wrong); border-bottom-style: dashed; }
mark small { color: var(--soft); font-size: .7rem; font-weight: 600; margin-left: .3rem; }
pre { background: var(--shade); padding: .9rem 1rem; overflow-x: auto; font-size: .8rem;
  line-height: 1.45; border-radius: 4px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1.25rem; font-size: .9rem; }
dt { font-weight: 600; } dd { margin: 0; }
@media (max-width: 40rem) { .sentences p, dl { grid-template-columns: 1fr; gap: 0; } }
@media print {
  :root { color-scheme: light; --paper: #fff; --ink: #000; --soft: #444; --rule: #ccc;
    --shade: #f4f4f4; --right: #00694c; --wrong: #b03a00; --c0: #000; --c1: #8b929b;
    --c2: #0072b2; --c3: #d55e00; --c4: #009e73; --c5: #b8559a; --c6: #c98a00; --c7: #3aa3da; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  body { padding: 0; max-width: none; font-size: 11pt; }
  .wide { overflow: visible; } table { font-size: 8pt; break-inside: avoid; }
  th { font-size: 7.5pt; }
  th, td { padding: .25rem .3rem; }
  h2, h3 { break-after: avoid; } pre { white-space: pre-wrap; } tr { break-inside: avoid; }
}
"""
)
