import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';

/** Milliseconds that answers took, by what was asked for. */
export type AnswerTimes<Kind extends string> = Record<Kind, number[]>;

/**
 * Measures each kind so many times, in random order, so that whatever else the machine does meets all alike.
 * @param ask makes one request and waits for its answer
 */
export async function answerTimes<Kind extends string>(
  kinds: readonly Kind[],
  each: number,
  ask: (kind: Kind) => Promise<unknown>,
): Promise<AnswerTimes<Kind>> {
  const times = Object.fromEntries(kinds.map((kind) => [kind, []])) as unknown as AnswerTimes<Kind>;
  const left = kinds.flatMap((kind) => Array<Kind>(each).fill(kind));
  while (left.length > 0) {
    const [kind] = left.splice(randomInt(left.length), 1);
    if (kind === undefined) break;
    const startedAt = performance.now();
    await ask(kind);
    times[kind].push(performance.now() - startedAt);
  }
  return times;
}

/**
 * How often one of these answers is later than one of those (Mann-Whitney's U as a share): 0.5 when nobody can
 * tell them apart, 0 or 1 when everybody can, whatever the speed of the machine.
 */
export function shareLater(these: readonly number[], those: readonly number[]): number {
  const won = these.flatMap((one) => those.map((other) => (one > other ? 1 : one === other ? 0.5 : 0)));
  return won.reduce<number>((sum, share) => sum + share, 0) / won.length;
}

/**
 * Fails unless a stranger cannot tell the kinds from the reference by time: in one of the rounds, since a machine that is
 * busy with something else can make them differ and cannot make them alike.
 * @param limits.furthest that a share of `shareLater` may be from 0.5
 * @param round of measurements
 */
export async function assertAlike<Kind extends string>(
  reference: Kind,
  limits: { rounds: number; furthest: number },
  round: () => Promise<AnswerTimes<Kind>>,
): Promise<void> {
  const seen: Record<string, number>[] = [];
  while (seen.length < limits.rounds) {
    const { [reference]: those, ...others } = await round();
    const shares = Object.entries<number[]>(others).map(
      ([kind, these]) => [kind, shareLater(these, those)] as const,
    );
    if (shares.every(([, share]) => Math.abs(share - 0.5) < limits.furthest)) return;
    seen.push(Object.fromEntries(shares));
  }
  assert.fail(JSON.stringify(seen));
}
