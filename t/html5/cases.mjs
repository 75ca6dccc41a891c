#!/usr/bin/env node
// usage: cases.mjs KIND SEED COUNT OUTDIR [FOLDER...]   -> COUNT HTML files in OUTDIR
// KIND is one of the generators below, which put together what belongs to one part of the
// standard (tokenizer states, foreign content, select, template, frames, ...), or "mutate",
// which damages the files of the FOLDERs.
import { writeFileSync, readFileSync, readdirSync, mkdirSync, rmSync } from 'node:fs';
const [mode, seed, n, out, ...dirs] = process.argv.slice(2);
let s = BigInt(seed) * 6364136223846793005n + 1442695040888963407n;
const rnd = k => { s = (s * 6364136223846793005n + 1442695040888963407n) & ((1n << 64n) - 1n); return Number((s >> 33n) % BigInt(k)); };
const pick = a => a[rnd(a.length)];
let k = 0;
const link = () => pick([() => `<a href="http://x.example/${++k}">l</a>`, () => `<a href=http://x.example/${++k}>l`, () => `<area href='https://x.example/${++k}'>`, () => `<A HREF = "http://x.example/${++k}&amp;b=1" data-msys-clicktrack="${rnd(2)}">q</A>`, ()=>`<a title=">" href="http://x.example/${++k}&copy=2">`])();
const text = () => pick(['x', ' ', '\n', 'a < b', '&amp;', '&nbsp;', '&#32;', '\0', 'foo bar', '<', '</', '<!', '>', '"', "'", '&', '-', '--', ']]>', '-->','\t','\f','\r', '\r\n', '&Tab;', '&lt', '</ x>', '<3', '<?x?>', '<!x>', '</>','<!>', '<?>']);
const HTMLT = 'html head body title base link meta style script noscript template frameset frame noframes p div span b i em a font table tbody thead tfoot tr td th caption colgroup col select option optgroup textarea input button ul ol li dl dt dd h1 pre listing br hr img form fieldset iframe noembed object applet marquee xmp plaintext nobr ruby rt svg math address article main image keygen area embed center label'.split(' ');
const FOR = 'svg math foreignObject desc title mi mo mn ms mtext annotation-xml mglyph malignmark g path a style script font circle textPath p div table'.split(' ');
const attr = () => pick(['', '', '', '', ' class=x', ' id="y"', " t='z'", ' a', '/', ' /', ' type=hidden', ' encoding="text/html"', ' color=red', ' href="http://y.example/"', ' data-msys-clicktrack="0"', ' =x', ' a= b', ' x=">"', ' encoding=application/xhtml+xml']);
const tag = l => { const t = pick(l); return pick([() => `<${t}${attr()}>`, () => `<${t}${attr()}>`, () => `</${t}>`, () => `</${t}${attr()}>`, () => `<${t}${attr()}/>`])(); };
const comment = () => pick(['<!-- x -->', '<!-->', '<!--->', '<!---->', '<!-- <a href="http://c.example/"> -->', '<!-- --!>', '<!--[if mso]><a href="http://c.example/">x</a><![endif]-->', '<![if !mso]>', '<![CDATA[', '<![CDATA[x]]>', '<![CDATA[<a href="http://c.example/">]]>', '<!doctype html>', '<!DOCTYPE html PUBLIC "a>b" \'c\'>', '<!--', '<!-', '<!-- a -- b', '--!>', '<!--x--!->-->','<!-- <!-->', '<!--!>','<!---!>', '<![cdata[x>']);
const script = () => pick(['<script>', '<script><!--', '</script>', '<script><!-- <script>', '--></script>', '</script >', '</script/', '<script><!-->', '<script><!--->', 'x</scripta>', '</script x="', '<SCRIPT>', '<style>', '</style>', '</STYLE\n>', '<title>', '</title>', '</title/>', '<textarea>', '</textarea>', '<xmp>', '</xmp>', '<iframe>', '</iframe>', '<noembed>', '</noembed>','<noframes>', '</noframes>']);
const attrsoup = () => { let r = '<' + pick(['a', 'A', 'a', 'area', 'p', 'svg']) ; const m = rnd(6); let ct = 0; for (let i = 0; i < m; i++) r += pick([' ', '\n', '/', '', '\t', '\f', '  ', '\x0b', '\r']) + pick(['href="http://h.example/%"', "href='http://h.example/%'", 'href=http://h.example/%', 'HREF="https://h.example/%"', 'href', 'href=', 'href = " http://h.example/% "', 'href="ht\ntp://h.example/%"', 'data-msys-clicktrack="0"', 'data-msys-clicktrack', 'data-msys-clicktrack=1', "DATA-MSYS-CLICKTRACK='&#48;'", 'data-msys-clicktrack = "0"', 'x', '=', '="x"', 'a=b', 'a="b"', "c='d'", '"', "'", '<', 'href="mailto:x"', 'href="HTTP&colon;//h.example/%"', 'href="http:/h"', 'href="http://h.example/%?a=1&copy=2&amp;c&lt&notin;&notit;&#x41&#65;&#0;&#150;&#xffffff;&#;&#x;&;&x;"', 'href="http://é\xff\xc3%"', 'href="&#104;ttp://e.example/%"', 'hr\0ef="http://n/%"','href="http://n/\0%"', 'href="\0http://n/%"','href=`http://n/%`','href="//x/%"', 'href="&Tab;http://n/%&NewLine;"', 'data-x=1', 'href="http://h.example/%']).replace('%', () => ++k); const parts = r.split(/(?=data-msys-clicktrack)/i); if (!process.env.DUP && parts.length > 2) r = parts[0] + parts.slice(1, 2).join('') + parts.slice(2).join('').replace(/data-msys-clicktrack/gi, 'data-q'); return r + pick(['>', '>', '>', '/>', ' >', ' />', '', '\n>']); };
const gens = {
  tags: () => pick([link, () => tag(HTMLT), () => tag(HTMLT), text])(),
  foreign: () => pick([link, () => tag(FOR), () => tag(FOR), () => tag(HTMLT), comment, text, () => pick(['<svg>', '<math>', '</svg>', '</math>', '<![CDATA[', ']]>', '<title>', '</title>', '<style>', '</style>', '<desc>'])])(),
  raw: () => pick([link, script, comment, text, script])(),
  comment: () => pick([link, comment, text])(),
  attr: () => pick([attrsoup, attrsoup, link, text])(),
  select: () => pick([link, () => tag('select option optgroup table tr td template input textarea script title style svg xmp'.split(' ')), text])(),
  template: () => pick([link, () => tag('template template col colgroup tbody tr td table div title style select svg p caption'.split(' ')), text])(),
  table: () => pick([link, () => tag('table tr td tbody caption colgroup col svg desc math mi title style select p b textarea'.split(' ')), text, comment])(),
  head: () => pick([link, () => tag('html head body title base link meta style script noscript template frameset noframes p br div'.split(' ')), text, comment])(),
  frameset: () => pick([link, () => tag('html head body frameset frame noframes p div br img input b title svg template select'.split(' ')), text])(),
  mix: () => pick(Object.values(gens).slice(0, -1))(),
};
rmSync(out, { recursive: true, force: true }); mkdirSync(out, { recursive: true });
let seeds = [];
for (const d of dirs) for (const f of readdirSync(d)) { const b = readFileSync(`${d}/${f}`); if (b.length < 40000) seeds.push(b.toString('latin1')); }
const wrapdoc = b => pick([() => b, () => b, () => `<!doctype html><html><head><title>t</title></head><body>${b}</body></html>`, () => `<html><body>${b}</body></html>`, () => `<body>${b}`, () => `${b}</body>`, () => b + link()])();
const bits = ['<', '>', '"', "'", '=', '/', '!', '-', '&', ' ', '\n', '\0', ';', '#', 'a', '<a ', '</', '<!--', '-->', '\xff', '<svg>', '</svg>', '<title>', '<style>', '<table>', '<select>', '<script>', '</p>', '</body>', '<body>', 'href=', ']]>', '<![CDATA[', '<template>', '</a>', '<math>', '<p>', '</div>', '<noscript>', '<frameset>', '<textarea>', '<plaintext>'];
for (let i = 0; i < +n; i++) {
  let b = '';
  if (mode === 'mutate') {
    b = pick(seeds);
    const m = 1 + rnd(6);
    for (let j = 0; j < m; j++) {
      const at = rnd(b.length + 1), len = rnd(30);
      const t = rnd(7);
      if (t === 0) b = b.slice(0, at) + b.slice(at + 1 + rnd(3));
      else if (t === 1) b = b.slice(0, at) + b.slice(at + len);
      else if (t === 2) b = b.slice(0, at) + pick(bits) + b.slice(at);
      else if (t === 3) b = b.slice(0, at) + pick(bits) + b.slice(at + 1);
      else if (t === 4) { const f = rnd(b.length + 1); b = b.slice(0, at) + b.slice(f, f + len * 3) + b.slice(at); }
      else if (t === 5) b = b.slice(0, at) + gens.mix() + b.slice(at);
      else { const o = pick(seeds), f = rnd(o.length + 1); b = b.slice(0, at) + o.slice(f, f + len * 4) + b.slice(at + (rnd(2) ? len : 0)); }
    }
    if (rnd(8) === 0) b = b.slice(0, rnd(b.length + 1));
  } else {
    const m = 1 + rnd(rnd(3) ? 8 : 20), g = gens[mode];
    for (let j = 0; j < m; j++) b += g();
    b = wrapdoc(b);
  }
  writeFileSync(`${out}/${mode}-${String(i).padStart(5, '0')}.html`, Buffer.from(b, 'latin1'));
}
