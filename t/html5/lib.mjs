// Ground truth for link rewriting: what an HTML5 browser (scripting off, as in
// mail clients) sees in an HTML part, in BYTE offsets.
//
// Trick: the buffer is parsed as latin1, so 1 char == 1 byte and every parse5
// offset is a byte offset whatever the real charset (must be ASCII-compatible).
// All markup-significant characters of HTML are ASCII, so the token stream and
// the tree are the same as for the real charset. Attribute values are decoded
// again from their raw bytes (UTF-8, then character references).
import { Parser, Token, defaultTreeAdapter } from 'parse5';
import { decodeHTMLAttribute } from 'entities';

export const CLICKTRACK = 'data-msys-clicktrack';
const HTML_NS = 'http://www.w3.org/1999/xhtml';

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
const utf8strict = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true });

/** latin1 string of raw attribute-value bytes -> decoded value (string). */
export function decodeValue(raw) {
  const s = utf8.decode(Buffer.from(raw, 'latin1'));
  return decodeHTMLAttribute(s.replace(/\r\n?/g, '\n').replace(/\0/g, '\ufffd'));
}
const isUtf8 = raw => { try { utf8strict.decode(Buffer.from(raw, 'latin1')); return true; } catch { return false; } };

/** What the URL parser does before anything else: trim C0/space, drop tab/newline. */
export const cleanUrl = v => v.replace(/[\t\n\r]/g, '').replace(/^[\0-\x20]+|[\0-\x20]+$/g, '');
export const isHttp = v => /^https?:\/\//i.test(cleanUrl(v));

class OracleParser extends Parser {
  constructor(...a) {
    super(...a);
    this.o = { starts: [], bodyStarts: [], bodyEnds: [], htmlEnds: [], body: null, frameset: false };
    this.tok = null;
    const ta = { ...this.treeAdapter };
    const create = ta.createElement;
    ta.createElement = (name, ns, attrs) => {
      if (ns === HTML_NS && name === 'body' && !this.o.body) this.o.body = this.tok;
      if (ns === HTML_NS && name === 'frameset') this.o.frameset = true;
      return create(name, ns, attrs);
    };
    this.treeAdapter = ta;
  }
  onStartTag(t) {
    this.tok = t;
    // snapshot now: the tree builder renames svg/math attributes in place
    const attrs = t.attrs.map(a => ({ name: a.name, value: a.value, loc: t.location.attrs?.[a.name] }));
    this.o.starts.push({ tagName: t.tagName, start: t.location.startOffset, end: t.location.endOffset, attrs });
    if (t.tagName === 'body') this.o.bodyStarts.push(t.location);
    super.onStartTag(t);
  }
  onEndTag(t) {
    this.tok = t;
    if (t.tagName === 'body') this.o.bodyEnds.push(t.location);
    if (t.tagName === 'html') this.o.htmlEnds.push(t.location);
    super.onEndTag(t);
  }
  onCharacter(t) { this.tok = t; super.onCharacter(t); }
  onNullCharacter(t) { this.tok = t; super.onNullCharacter(t); }
  onWhitespaceCharacter(t) { this.tok = t; super.onWhitespaceCharacter(t); }
  onComment(t) { this.tok = t; super.onComment(t); }
  onEof(t) { this.tok = t; super.onEof(t); }
}

/** Parse a Buffer (or latin1 string). Returns { src, base, doc, o }. */
export function parseLatin1(input, { scripting = false } = {}) {
  let src = typeof input === 'string' ? input : input.toString('latin1');
  const base = src.startsWith('\xef\xbb\xbf') ? 3 : 0; // a browser drops the BOM
  const p = new OracleParser({ sourceCodeLocationInfo: true, scriptingEnabled: scripting });
  p.tokenizer.write(src.slice(base), true);
  return { src, base, doc: p.document, o: p.o };
}

export function* walk(node) {
  yield node;
  for (const c of node.childNodes ?? []) yield* walk(c);
  if (node.content) yield* walk(node.content);
}

function attrRange(src, base, name, loc) {
  const s = loc.startOffset + base, e = loc.endOffset + base;
  const nameEnd = s + name.length;
  const rest = src.slice(nameEnd, e);
  const m = /^[\t\n\f\r ]*=[\t\n\f\r ]*/.exec(rest);
  if (rest && !m) throw new Error(`oracle: attribute ${name} at ${s}: cannot split ${JSON.stringify(rest.slice(0, 60))}`);
  if (!m || m[0].length === rest.length && !rest.length) return { start: s, end: e, nameEnd, value: null };
  const vs = nameEnd + m[0].length;
  const q = src[vs] === '"' || src[vs] === "'" ? src[vs] : '';
  if (q && (e - vs < 2 || src[e - 1] !== q)) throw new Error(`oracle: unterminated quote at ${vs}`);
  return { start: s, end: e, nameEnd, value: { start: vs, end: e, quote: q, raw: q ? src.slice(vs + 1, e - 1) : src.slice(vs, e) } };
}

/** The oracle proper. See README for the fields. */
export function analyse(input, opts = {}) {
  const { src, base, doc, o } = parseLatin1(input, opts);
  const inTree = new Set();
  for (const n of walk(doc)) if (n.sourceCodeLocation) inTree.add((n.sourceCodeLocation.startTag ?? n.sourceCodeLocation).startOffset + base);
  const tags = [], otherClicktrack = [];
  for (const t of o.starts) {
    const link = t.tagName === 'a' || t.tagName === 'area';
    const href = t.attrs.find(a => a.name === 'href'), ct = t.attrs.find(a => a.name === CLICKTRACK);
    if (!ct && !(link && href)) continue;
    const rec = { tag: t.tagName, start: t.start + base, end: t.end + base, inTree: inTree.has(t.start + base) };
    if (ct) {
      const r = attrRange(src, base, ct.name, ct.loc);
      rec.clicktrack = { start: r.start, end: r.end, value: r.value ? decodeValue(r.value.raw) : '' };
    }
    if (!link) { otherClicktrack.push(rec); continue; }
    if (href) {
      const r = attrRange(src, base, 'href', href.loc);
      if (r.value) {
        const value = decodeValue(r.value.raw);
        if (/^[\x01-\x7f]*$/.test(r.value.raw) && value !== href.value)
          throw new Error(`oracle: decoders disagree at ${r.value.start}: ${JSON.stringify(value)} / ${JSON.stringify(href.value)}`);
        rec.href = { start: r.value.start, end: r.value.end, attrStart: r.start, quote: r.value.quote, value, http: isHttp(value), utf8: isUtf8(r.value.raw) };
      } else rec.href = { start: r.end, end: r.end, attrStart: r.start, quote: '', value: '', http: false, utf8: true };
    }
    rec.wrap = !!(rec.href?.http && rec.clicktrack?.value !== '0');
    tags.push(rec);
  }
  const len = src.length;
  const bt = o.bodyStarts[0], et = o.bodyEnds[0];
  const bodyTokStart = o.body?.location ? o.body.location.startOffset + base : len;
  const body = {
    explicitStart: !!bt, explicitEnd: !!et, frameset: o.frameset,
    // right after the first <body ...> token; if none, where the tree builder opened body
    start: bt ? bt.endOffset + base : (o.body ? bodyTokStart : null),
    // first </body> token; if none, </html>, else end of input
    end: et ? et.startOffset + base : (o.htmlEnds.length ? o.htmlEnds[0].startOffset + base : len),
    startTags: o.bodyStarts.map(l => [l.startOffset + base, l.endOffset + base]),
    endTags: o.bodyEnds.map(l => [l.startOffset + base, l.endOffset + base]),
  };
  return { bytes: len, bom: base === 3, tags, otherClicktrack, body, doc, src };
}

/** Would an element inserted at this byte offset become an element of the tree? */
export function visibleAt(src, off, opts) {
  const probe = 'oracle-probe';
  const { doc } = parseLatin1(src.slice(0, off) + `<img id=${probe}>` + src.slice(off), opts);
  for (const n of walk(doc)) if (n.tagName === 'img' && n.attrs.some(a => a.name === 'id' && a.value === probe)) return true;
  return false;
}
export { Token, defaultTreeAdapter };
