#!/usr/bin/env node
// Plain JavaScript, so that an old Node says what it lacks instead of failing on the first type.
const [major = 0] = process.versions.node.split('.').map(Number);
if (major < 24) {
  process.stderr.write(
    `gatehouse: needs Node 24 or later, this is ${process.version}. In a checkout \`npm ci\` brings it along and \`npx gatehouse\` uses it.\n`,
  );
  process.exit(1);
}
await import('../src/cli/main.ts');
