"""How a report's page looks, by day and by night."""

STYLE = """
:root{color-scheme:light dark;--ground:#fbfaf7;--panel:#fff;--text:#22252b;--quiet:#6a6f78;
--line:#e3e0d8;--series-0:#c2410c;--series-1:#1d6fb8;--series-2:#4d7c0f;--series-3:#7a4fb0}
@media(prefers-color-scheme:dark){:root{--ground:#16181c;--panel:#1e2127;--text:#e6e4df;
--quiet:#9aa0aa;--line:#343943;--series-0:#fb923c;--series-1:#60a5fa;--series-2:#a3d65c;
--series-3:#c4a1f5}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--text);font:16px/1.55 system-ui,sans-serif}
main{max-width:72rem;margin:0 auto;padding:2.5rem 1.25rem 4rem}
header p{margin:0;color:var(--quiet);letter-spacing:.02em}
h1{margin:0 0 1rem;font-size:2.2rem;line-height:1.15;letter-spacing:-.02em}
h2{font-size:1.15rem;margin:2.2rem 0 .6rem}h3{font-size:1rem;margin:0}
small,.quiet{color:var(--quiet);font-weight:400}
.scroll{overflow-x:auto;border:1px solid var(--line);border-radius:8px;background:var(--panel)}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:.45rem .8rem;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
th:first-child{text-align:left}thead th{color:var(--quiet);font-weight:500;font-size:.85rem;
white-space:normal;vertical-align:bottom;min-width:5.5rem}
tbody th{font-weight:500}tbody tr:last-child>*{border-bottom:0}
.member th{font-weight:400;color:var(--quiet);padding-left:1.6rem}
.total>*{border-top:2px solid var(--line);font-weight:600}
.own{font-weight:650;color:var(--series-0)}.none{color:var(--quiet);font-weight:400}
.bar{min-width:9rem;background:linear-gradient(color-mix(in srgb,var(--series-0) 18%,transparent)
0 0) 0 50%/var(--percent) 1.5rem no-repeat}
.chance{font-weight:400;font-style:italic;color:var(--quiet)}
.chance.bar{background-image:repeating-linear-gradient(135deg,var(--line) 0 3px,
transparent 3px 7px)}
.notes{color:var(--quiet);font-size:.9rem;padding-left:1.1rem;margin:.6rem 0}
details{margin:.5rem 0}summary{cursor:pointer;padding:.3rem 0}details .scroll{max-width:40rem}
.tiles{display:grid;grid-template-columns:repeat(auto-fill,minmax(9rem,1fr));gap:.7rem}
.tiles div{border:1px solid var(--line);border-radius:8px;background:var(--panel);
padding:.6rem .75rem}
.tiles dt{font-size:.85rem}.tiles dd{font-size:1.1rem;font-weight:600;white-space:nowrap}
figure{margin:2rem 0;text-align:center}.radar{width:100%;max-width:48rem;height:auto}
.grid{fill:none;stroke:var(--line)}.axis{fill:var(--text);font-size:14px}
.ring{fill:var(--quiet);font-size:11px;paint-order:stroke;stroke:var(--ground);stroke-width:3px}
.series polygon{fill:none;stroke-width:2;stroke-linejoin:round}
.s0 polygon{fill:color-mix(in srgb,var(--series-0) 16%,transparent);stroke-width:2.5}
.s0{--own:var(--series-0)}.s1{--own:var(--series-1)}.s2{--own:var(--series-2)}
.s3{--own:var(--series-3)}.series polygon{stroke:var(--own)}.series circle{fill:var(--own)}
figcaption{color:var(--quiet);font-size:.9rem}
.legend{list-style:none;display:flex;flex-wrap:wrap;justify-content:center;gap:.3rem 1.4rem;
margin:0 0 .3rem;padding:0;color:var(--text)}
.swatch{display:inline-block;width:.9rem;height:.9rem;border-radius:3px;background:var(--own);
margin-right:.45rem;vertical-align:-.1rem}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1rem;margin:0}
dt{color:var(--quiet)}dd{margin:0;white-space:pre-wrap;overflow-wrap:anywhere}
.items{display:grid;gap:1rem;grid-template-columns:repeat(auto-fill,minmax(20rem,1fr))}
article{border:1px solid var(--line);border-radius:8px;background:var(--panel);padding:1rem}
article dl{font-size:.92rem;max-height:16rem;overflow-y:auto}
.score{margin:.1rem 0 .5rem;color:var(--series-0)}
audio{width:100%;height:2.2rem;margin-bottom:.6rem}
pre{background:var(--panel);border:1px solid var(--line);border-radius:8px;padding:.9rem 1rem;
white-space:pre-wrap;overflow-wrap:anywhere}
"""
