import type { CliIo } from './cli-io.ts';

export interface ProgressBar {
  /** @param share from 0 to 1; undefined where nobody knows how much there is */
  show(done: number, share: number | undefined): void;
  end(): void;
}

const PARTS = 100;

/** On standard error and only in a terminal: how many, how fast, how long still. */
export async function progressBar(
  io: CliIo,
  title: string,
  now: () => number = Date.now,
): Promise<ProgressBar> {
  const { stderr } = io;
  if (!('isTTY' in stderr) || stderr.isTTY !== true) return { show() {}, end() {} };
  const { progress } = await import('@clack/prompts');
  const bar = progress({ max: PARTS, output: stderr });
  bar.start(title);
  const startedAt = now();
  let first: { done: number; share: number } | undefined;
  let parts = 0;
  return {
    show(done, share = 0) {
      // What an earlier run had done says nothing about the speed of this one.
      first ??= { done, share };
      const seconds = Math.max(0.001, (now() - startedAt) / 1000);
      const rate = (done - first.done) / seconds;
      const speed = (share - first.share) / seconds;
      const left = speed > 0 ? `, ${durationText((1 - share) / speed)} left` : '';
      const reached = Math.floor(share * PARTS);
      bar.advance(reached - parts, `${done} users, ${Math.round(rate)} a second${left}`);
      parts = reached;
    },
    end: () => bar.clear(),
  };
}

function durationText(seconds: number): string {
  const whole = Math.ceil(seconds);
  return whole < 120 ? `${whole} s` : `${Math.ceil(whole / 60)} min`;
}
