# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""How the page of an explanation looks, in light and in dark."""

STYLE = """
:root {
  color-scheme: light dark;
  --page: #f6f7f8; --card: #ffffff; --ink: #1b1f24; --soft: #59636e; --line: #d5dae0; --band: #eceff3;
  --copy: #2f6db3; --sum: #9a6700; --secure: #1a7f4b; --raw: #c2302b; --hidden: #7d4bc0;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14171b; --card: #1c2026; --ink: #e4e8ec; --soft: #9aa5b1; --line: #343b44; --band: #272d35;
    --copy: #78b0f0; --sum: #dba73a; --secure: #4fc587; --raw: #ff7b72; --hidden: #bd96f5;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1104px; margin: 0 auto; padding: 28px 16px 48px; }
h1 { margin: 0; font-size: 26px; overflow-wrap: anywhere; }
h2 { margin: 0 0 12px; font-size: 18px; }
h3 { margin: 0 0 6px; font-size: 15px; }
h3 .soft { margin-left: 8px; font-weight: normal; }
p { margin: 0 0 8px; }
.soft { color: var(--soft); }
section { margin-top: 20px; padding: 18px; }
section, .fact { background: var(--card); border: 1px solid var(--line); border-radius: 12px; }
code, pre { font: 13px/1.45 ui-monospace, Consolas, monospace; }
code { overflow-wrap: anywhere; }
pre { margin: 0 0 12px; overflow-x: auto; }
pre.wrapped { white-space: pre-wrap; overflow-wrap: anywhere; }
summary { cursor: pointer; }
details pre { margin: 8px 0 0; }
.wide { overflow-x: auto; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(164px, 1fr)); gap: 10px; }
.facts { margin: 16px 0 0; }
.fact { padding: 10px 12px; }
.fact dt { color: var(--soft); font-size: 13px; }
.fact dd { margin: 2px 0 0; font-size: 15px; font-weight: 600; }
.verdict { margin-top: 16px; font-weight: 600; }
article { padding: 12px 0; border-top: 1px solid var(--line); }
article:first-of-type { padding-top: 0; border-top: 0; }
article p:last-child, article ul:last-child { margin-bottom: 0; }
ul { margin: 0 0 10px; padding-left: 20px; list-style: none; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: 6px 14px 6px 0; text-align: left; vertical-align: top; }
th, td { border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-size: 13px; font-weight: 600; white-space: nowrap; }
tbody tr:last-child td { border-bottom: 0; }
td code, td summary { white-space: nowrap; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td:first-child.number, th:first-child.number { width: 1%; }
.chip { display: inline-block; padding: 0 9px; border: 1px solid var(--way); border-radius: 999px; }
.chip { color: var(--way); font-size: 13px; white-space: nowrap; }
.copy { --way: var(--copy); } .plain-sum { --way: var(--sum); } .secure-sum { --way: var(--secure); }
.raw-collection { --way: var(--raw); } .hidden { --way: var(--hidden); }
.fact.plain-sum dd, .fact.secure-sum dd, .fact.raw-collection dd, .fact.hidden dd { color: var(--way); }
svg { display: block; width: 100%; min-width: 800px; height: auto; }
svg text { font: 12px system-ui, sans-serif; fill: var(--ink); }
svg .band { fill: var(--band); stroke: var(--line); }
svg .program { fill: none; stroke-dasharray: 4 4; }
svg .name { font-size: 14px; font-weight: 600; }
svg .detail, svg .size { fill: var(--soft); }
svg .arrow line { stroke: var(--way); stroke-width: 2.2; }
svg .arrow polygon { fill: var(--way); }
svg .arrow rect { fill: var(--card); stroke: var(--way); stroke-width: 1.6; }
svg .number { font-weight: 600; text-anchor: middle; fill: var(--way); }
svg .secure-sum line { stroke-dasharray: 9 4; } svg .hidden line { stroke-dasharray: 2 4; }
svg .raw-collection line { stroke-width: 4; }
"""
"""The style sheet."""
