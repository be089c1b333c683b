import { readFileSync, watchFile } from 'node:fs';

/**
 * Preloaded into a server process (`--import`): its clock is off by as many milliseconds as the file says
 * that FAULTS_CLOCK_FILE names, from the moment the file says so.
 */
const file = process.env['FAULTS_CLOCK_FILE'] ?? '';
const RealDate = Date;
let skewMs = read();
watchFile(file, { interval: 50, persistent: false }, () => {
  skewMs = read();
});

globalThis.Date = class extends RealDate {
  constructor(...args: unknown[]) {
    // With arguments it is a time that somebody names, not the clock's.
    if (args.length === 0) super(RealDate.now() + skewMs);
    else super(...(args as [number]));
  }

  static override now(): number {
    return RealDate.now() + skewMs;
  }
} as DateConstructor;

function read(): number {
  return Number(readFileSync(file, 'utf8'));
}
