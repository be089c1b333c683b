import { certainEnds, mayHaveExpired, possibleEnds, revocationsOf } from './ends.ts';
import type { Promises } from './ends.ts';
import { ACCESS_KINDS, indexHistory } from './history-index.ts';
import type { HistoryIndex, KnownFamily } from './history-index.ts';
import { mayHaveHappened } from './record.ts';
import type { HistoryRecord, RecordOf } from './record.ts';

/** A promise that was broken. */
export interface Violation {
  rule: Rule;
  message: string;
  /** The record that broke it; the same violation is found again by rule and record. */
  record: HistoryRecord;
  /** What else has to be known to see it. */
  because: HistoryRecord[];
}

export type Rule = keyof typeof RULES;

const RULES = {
  'only expected answers': unexpectedAnswers,
  'every answer comes in time': lateAnswers,
  'a 503 says when to come back': silentRefusals,
  'a code is redeemed once': codesRedeemedTwice,
  'a refresh token has one successor': forks,
  'a strict refresh token works once': worksTwice,
  'what ended stays ended': worksAfterItsEnd,
  'a revoked access token does not work': worksAfterItsRevocation,
  'nothing acknowledged is lost': lostFamilies,
  'a session ends when it is ended, and only then': sessionFaults,
  'what was signed can be verified': unverifiable,
};

/** @returns the broken promises, in the order in which they showed */
export function checkHistory(records: readonly HistoryRecord[], promises: Promises): Violation[] {
  const index = indexHistory(records);
  const violations: Violation[] = [];
  for (const [rule, find] of Object.entries(RULES)) {
    for (const found of find(index, promises, records)) violations.push({ rule: rule as Rule, ...found });
  }
  return violations.toSorted((a, b) => a.record.respondedAt - b.record.respondedAt);
}

type Found = Omit<Violation, 'rule'>;

function unexpectedAnswers(
  _index: HistoryIndex,
  _promises: Promises,
  records: readonly HistoryRecord[],
): Found[] {
  return records
    .filter(({ outcome }) => outcome === 'broken')
    .map((record) => ({ record, message: `was answered by ${record.detail}`, because: [] }));
}

/** The limit, and what it takes to send a request and to read its answer on a machine that does other work as well. */
const LONGEST_ANSWER_MS = 3_000 + 500;

function lateAnswers(index: HistoryIndex): Found[] {
  return index.all('request').flatMap((record) => {
    const tookMs = record.respondedAt - record.invokedAt;
    const lostMs = tookMs > LONGEST_ANSWER_MS ? millisecondsLost(index, record) : 0;
    if (tookMs - lostMs <= LONGEST_ANSWER_MS) return [];
    const message = `took ${Math.round(tookMs)} ms, of which trivial requests were late for ${Math.round(lostMs)}`;
    return [{ record, message, because: index.all('fault').filter((fault) => sharedMs(fault, record) > 0) }];
  });
}

/** How long trivial requests were late while this one was under way, at the server where they were so the longest. */
function millisecondsLost(index: HistoryIndex, record: HistoryRecord): number {
  const lost = new Map<number, number>([[0, 0]]);
  for (const beat of index.all('late-beat')) {
    const lateMs = Math.max(0, Math.min(sharedMs(beat, record), beat.lateMs));
    lost.set(beat.server, (lost.get(beat.server) ?? 0) + lateMs);
  }
  return Math.max(...lost.values());
}

function sharedMs(one: HistoryRecord, other: HistoryRecord): number {
  return Math.min(one.respondedAt, other.respondedAt) - Math.max(one.invokedAt, other.invokedAt);
}

function silentRefusals(index: HistoryIndex): Found[] {
  return index
    .all('request')
    .filter(({ outcome, retryAfterSeconds }) => outcome === 'unavailable' && !retryAfterSeconds)
    .map((record) => ({ record, message: 'has no Retry-After', because: [] }));
}

function codesRedeemedTwice({ families }: HistoryIndex): Found[] {
  return families.flatMap(({ exchanges }) => {
    const [first, second] = exchanges.filter(({ outcome }) => outcome === 'ok');
    if (!first || !second) return [];
    return [{ record: second, message: 'gave tokens for a code that had given some', because: [first] }];
  });
}

function forks(index: HistoryIndex): Found[] {
  const tokens = new Set(index.all('refresh').map(({ token }) => token));
  return [...tokens].flatMap((token) => {
    const given = index.refreshesOf(token).filter(({ refresh }) => refresh !== undefined);
    const [first] = given;
    const other = given.find(({ refresh }) => refresh !== first?.refresh);
    if (!first || !other) return [];
    return [
      { record: other, message: 'gave another successor for the same refresh token', because: [first] },
    ];
  });
}

function worksTwice(index: HistoryIndex, { graceMs }: Promises): Found[] {
  if (graceMs > 0) return [];
  const tokens = new Set(index.all('refresh').map(({ token }) => token));
  return [...tokens].flatMap((token) => {
    const [first, second] = index.refreshesOf(token).filter(({ outcome }) => outcome === 'ok');
    if (!first || !second) return [];
    return [
      { record: second, message: 'gave tokens for a refresh token that had given some', because: [first] },
    ];
  });
}

function worksAfterItsEnd(index: HistoryIndex): Found[] {
  return index.families.flatMap((family) => {
    const ends = certainEnds(index, family);
    const end = ends.toSorted((a, b) => a.respondedAt - b.respondedAt)[0];
    if (!end) return [];
    return usesOf(index, family)
      .filter((use) => use.outcome === 'ok' && use.invokedAt > end.respondedAt)
      .map((record) => ({ record, message: 'worked after the end of its family', because: [end] }));
  });
}

function worksAfterItsRevocation(index: HistoryIndex): Found[] {
  return ACCESS_KINDS.flatMap((kind) => index.all(kind)).flatMap((record) => {
    if (record.outcome !== 'ok') return [];
    const revocation = revocationsOf(index, record.token).find(
      ({ outcome, respondedAt }) => outcome === 'ok' && respondedAt < record.invokedAt,
    );
    return revocation ? [{ record, message: 'worked after its revocation', because: [revocation] }] : [];
  });
}

/** Refusals that nothing in the history explains. */
function lostFamilies(index: HistoryIndex, promises: Promises): Found[] {
  return index.families.flatMap((family) => {
    const refused = usesOf(index, family).filter(({ outcome }) => outcome === 'refused');
    if (refused.length === 0) return [];
    const ends = possibleEnds(index, promises, family);
    return refused
      .filter((use) => !ends.some((end) => end !== use && end.invokedAt < use.respondedAt))
      .filter((use) => !isExplained(index, family, use) && !ends.includes(use))
      .map((record) => ({
        record,
        message: 'was refused though nothing had ended it',
        because: [family.authorization],
      }));
  });
}

function isExplained(index: HistoryIndex, family: KnownFamily, use: HistoryRecord): boolean {
  if (use.kind === 'exchange') return mayHaveExpired(family, use);
  if (!isAccessUse(use)) return false;
  return revocationsOf(index, use.token).some(({ invokedAt }) => invokedAt < use.respondedAt);
}

function sessionFaults(index: HistoryIndex): Found[] {
  return index.all('authorize').flatMap((record): Found[] => {
    const ends = [...index.about('logout', record.session), ...index.about('disable', record.user)].filter(
      mayHaveHappened,
    );

    if (record.outcome === 'refused' && !ends.some(({ invokedAt }) => invokedAt < record.respondedAt))
      return [{ record, message: 'was refused though nothing had ended the session', because: [] }];
    if (record.outcome !== 'ok') return [];
    const end = ends.find(
      (one) =>
        one.outcome === 'ok' &&
        one.respondedAt < record.invokedAt &&
        isStill(index, one, beginOf(index, record)),
    );
    return end ? [{ record, message: 'gave a code after the end of the session', because: [end] }] : [];
  });
}

/** A session that began after the person was enabled again is another one. */
function isStill(index: HistoryIndex, end: HistoryRecord, begin: HistoryRecord): boolean {
  if (end.kind !== 'disable') return true;
  return !index
    .about('enable', end.user)
    .some(({ respondedAt, invokedAt }) => respondedAt > end.invokedAt && invokedAt < begin.respondedAt);
}

function beginOf(index: HistoryIndex, record: RecordOf<'authorize'>): HistoryRecord {
  return index.about('authorize', record.session).find(({ signIn }) => signIn) ?? record;
}

function unverifiable(index: HistoryIndex): Found[] {
  return index
    .all('verify')
    .filter(({ outcome }) => outcome === 'refused')
    .map((record) => ({ record, message: 'the published keys do not verify it', because: [] }));
}

function usesOf(
  index: HistoryIndex,
  { exchanges, refreshTokens, accessTokens }: KnownFamily,
): HistoryRecord[] {
  return [
    ...exchanges,
    ...[...refreshTokens].flatMap((token) => index.refreshesOf(token)),
    ...[...accessTokens].flatMap((token) => index.usesOfAccess(token)),
  ];
}

function isAccessUse(record: HistoryRecord): record is RecordOf<(typeof ACCESS_KINDS)[number]> {
  return ACCESS_KINDS.some((kind) => kind === record.kind);
}
