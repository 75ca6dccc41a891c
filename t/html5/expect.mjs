#!/usr/bin/env node
// usage: expect.mjs FOLDER...   -> the edits of each file, for t/t-html-golden.c
// One line per edit: folder/file, kind, offset, length, target (base64url; links only).
// A file without edits has one line of kind "none".
import { readFileSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { analyse, visibleAt, cleanUrl } from './lib.mjs';

const WS = /[\t\n\f\r ]/;
for (const dir of process.argv.slice(2)) {
  for (const name of readdirSync(dir).sort()) {
    const { src, tags, body } = analyse(readFileSync(join(dir, name))), edits = [];
    for (const t of tags) {
      if (t.wrap) edits.push([t.href.start, t.href.end, 'link', Buffer.from(cleanUrl(t.href.value)).toString('base64url')]);
      if (t.clicktrack) {
        let s = t.clicktrack.start;
        const e = t.clicktrack.end;
        if (src[e] === '>' || WS.test(src[e])) while (WS.test(src[s - 1])) s--;
        edits.push([s, e, 'remove', '-']);
      }
    }
    // Without its tag, a pixel belongs only where it would be an element.
    const seen = at => visibleAt(src, at);
    if (!body.frameset && body.start !== null && (body.explicitStart || seen(body.start))) edits.push([body.start, body.start, 'initial', '-']);
    if (!body.frameset && (body.explicitEnd || seen(body.end))) edits.push([body.end, body.end, 'open', '-']);
    edits.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    const file = `${basename(dir)}/${name}`;
    for (const [s, e, kind, target] of edits) console.log([file, kind, s, e - s, target].join('\t'));
    if (!edits.length) console.log([file, 'none', 0, 0, '-'].join('\t'));
  }
}
