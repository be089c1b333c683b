// The server. Plain JavaScript, so that an old Node says what it lacks, and so that Node loads what it reads
// TypeScript with, 20 MB, only for files that the cache does not have as JavaScript.
import { enableCompileCache } from 'node:module';
import { fileURLToPath } from 'node:url';

const [major = 0] = process.versions.node.split('.').map(Number);
if (major < 24) {
  process.stderr.write(`Gatehouse needs Node.js 24 or later; this is ${process.version}.\n`);
  process.exit(1);
}
// Whoever can write there can change the code itself as well; where nobody can, each start compiles anew.
// By the environment, so that threads and workers use it too.
process.env.NODE_COMPILE_CACHE ??= fileURLToPath(
  new URL('../node_modules/.cache/gatehouse', import.meta.url),
);
enableCompileCache();
await import('../src/main.ts');
