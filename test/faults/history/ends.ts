import type { HistoryIndex, KnownFamily } from './history-index.ts';
import { mayHaveHappened } from './record.ts';
import type { HistoryRecord, RecordOf } from './record.ts';

/** What the model promises besides what the protocol says. */
export interface Promises {
  /** A lost refresh can be repeated for this long; 0 is strict: nothing can, and whoever tries ends the family. */
  graceMs: number;
}

/** The life of a code; requests near its end may meet either side of it. */
const CODE_MS = 60_000;
const CODE_MARGIN_MS = 10_000;
/** Between the clock that records and the database's. */
const CLOCK_MARGIN_MS = 100;

/**
 * Whatever may have ended the family, acknowledged or not: from the moment it was sent, the family's
 * tokens may be refused.
 */
export function possibleEnds(index: HistoryIndex, promises: Promises, family: KnownFamily): HistoryRecord[] {
  const { session, user, offline } = family.authorization;
  const siblings = index.siblingsOf(family);
  const tokens = siblings.flatMap(({ refreshTokens }) => [...refreshTokens]);
  return [
    ...tokens.flatMap((token) => index.about('revoke', token)),
    ...(offline ? [] : index.about('logout', session)),
    ...index.about('disable', user),
    ...siblings.flatMap(({ exchanges }) => exchanges.filter((one) => another(exchanges, one))),
    ...tokens.flatMap((token) => possibleReuses(index, promises, token)),
  ].filter(mayHaveHappened);
}

/** Requests that may have met a used refresh token without the right to its successor. */
function possibleReuses(index: HistoryIndex, { graceMs }: Promises, token: string): RecordOf<'refresh'>[] {
  const requests = index.refreshesOf(token);
  const uses = index.successorsOf(token).flatMap((successor) => index.refreshesOf(successor));
  return requests.filter((request) => {
    const first = requests.find((other) => other !== request && other.invokedAt < request.respondedAt);
    if (!first) return false;
    const isLate = request.respondedAt - first.invokedAt > graceMs - CLOCK_MARGIN_MS;
    return isLate || uses.some((use) => use.invokedAt < request.respondedAt);
  });
}

/** What has certainly ended the family: nothing of it may work that is sent after the answer. */
export function certainEnds(index: HistoryIndex, family: KnownFamily): HistoryRecord[] {
  const { session, user, offline } = family.authorization;
  const tokens = [...family.refreshTokens];
  const done = [
    ...tokens.flatMap((token) => index.about('revoke', token)),
    ...(offline ? [] : index.about('logout', session)),
    ...index.about('disable', user).filter((disable) => isBefore(index, family.authorization, disable)),
  ].filter(({ outcome }) => outcome === 'ok');
  // A refusal says that it has ended, or ends it: used tokens that come back end their family.
  const refused = [
    ...tokens.flatMap((token) => index.refreshesOf(token)),
    ...family.exchanges.filter((exchange) => !mayHaveExpired(family, exchange)),
    ...[...family.accessTokens]
      .filter((token) => revocationsOf(index, token).length === 0)
      .flatMap((token) => index.usesOfAccess(token)),
  ].filter(({ outcome }) => outcome === 'refused');
  return [...done, ...refused];
}

/**
 * Whether the disabling ends what began with this authorization: it was there before, and no later
 * enabling can have made room for it.
 */
function isBefore(
  index: HistoryIndex,
  authorization: RecordOf<'authorize'>,
  disable: HistoryRecord,
): boolean {
  if (authorization.invokedAt > disable.respondedAt) return false;
  return !index
    .about('enable', authorization.user)
    .some((enable) => enable.respondedAt > disable.invokedAt && enable.invokedAt < authorization.respondedAt);
}

export function revocationsOf(index: HistoryIndex, access: string): RecordOf<'revoke'>[] {
  return index.about('revoke', access).filter(mayHaveHappened);
}

export function mayHaveExpired({ authorization }: KnownFamily, exchange: HistoryRecord): boolean {
  return exchange.respondedAt - authorization.invokedAt > CODE_MS - CODE_MARGIN_MS;
}

/** Whether another request with the same code may have been there first. */
function another(exchanges: readonly HistoryRecord[], one: HistoryRecord): boolean {
  return exchanges.some((other) => other !== one && other.invokedAt < one.respondedAt);
}
