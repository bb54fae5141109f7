"""The look of a page: dark and light by the reader's wish, distinct for colour-blind eyes."""

from __future__ import annotations

STYLE = """\
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#5b6470;--paper:#fff;--card:#f5f6f8;
--edge:#d9dde3;--pending:#d7dbe1;--done:#2f8f6b;--running:#2f6fd0;--retrying:#b58a00;
--quarantined:#8a5bbf;--damaged:#d1478c;--failed:#c8361d;--good:#1f7a55;--warn:#9a6700}
@media (prefers-color-scheme:dark){:root{--ink:#e6e9ee;--soft:#98a2b0;--paper:#12151a;
--card:#1a1f27;--edge:#2c333d;--pending:#333b47;--done:#3fae85;--running:#5b9bff;
--retrying:#e0b63a;--quarantined:#b48cf0;--damaged:#f07ab4;--failed:#f2664c;--good:#56c796;
--warn:#e0b63a}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1.5rem;max-width:1040px;background:var(--paper);color:var(--ink);
font:15px/1.5 system-ui,sans-serif}
h1{font-size:1.35rem;margin:0 0 .2rem;overflow-wrap:anywhere}
h2{font-size:1rem;margin:2rem 0 .6rem;border-bottom:1px solid var(--edge);padding-bottom:.25rem}
h3{font-size:.95rem;margin:1.2rem 0 .3rem;font-weight:600;overflow-wrap:anywhere}
p{margin:.3rem 0}
.soft{color:var(--soft)}
.word{font-weight:700}
.good{color:var(--good)}
.bad{color:var(--failed)}
.warn{color:var(--warn)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:.6rem;
margin:1rem 0}
.tile{background:var(--card);border:1px solid var(--edge);border-radius:6px;padding:.5rem .7rem}
.tile b{display:block;font-size:1.1rem;font-variant-numeric:tabular-nums}
.tile span{color:var(--soft);font-size:.82rem}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:.88rem}
th,td{text-align:left;padding:.2rem .8rem .2rem 0;border-bottom:1px solid var(--edge);
vertical-align:top;overflow-wrap:anywhere}
th{color:var(--soft);font-weight:500}
td.n,th.n{text-align:right}
pre{background:var(--card);border:1px solid var(--edge);border-radius:6px;padding:.6rem;
overflow:auto;font-size:.8rem;line-height:1.35}
details summary{cursor:pointer;color:var(--soft)}
svg{display:block;width:100%;height:auto;margin:.4rem 0}
svg text{fill:var(--soft);font:11px system-ui,sans-serif}
.legend{display:flex;flex-wrap:wrap;gap:.3rem 1rem;font-size:.82rem;color:var(--soft)}
.legend i{display:inline-block;width:.8em;height:.8em;border-radius:2px;margin-right:.35em}
.s-pending{fill:var(--pending);background:var(--pending)}
.s-done,.s-partly{fill:var(--done);background:var(--done)}
.s-running{fill:var(--running);background:var(--running)}
.s-retrying{fill:var(--retrying);background:var(--retrying)}
.s-quarantined{fill:var(--quarantined);background:var(--quarantined)}
.s-damaged{fill:var(--damaged);background:var(--damaged)}
.s-failed{fill:var(--failed);background:var(--failed)}
.s-partly{opacity:.6}
.p1{opacity:.3}.p2{opacity:.48}.p3{opacity:.65}.p4{opacity:.82}
.area{fill:var(--running);opacity:.18}
.line{fill:none;stroke:var(--running);stroke-width:1.5}
.bar{fill:var(--running)}
.pause{stroke:var(--soft);stroke-dasharray:2 3;fill:none}
.picture{image-rendering:pixelated;min-width:160px;max-width:480px;width:60%;display:block;
border:1px solid var(--edge)}
@media print{body{max-width:none}}
"""
