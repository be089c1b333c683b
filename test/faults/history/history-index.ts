import { mayHaveHappened } from './record.ts';
import type { Happening, HistoryRecord, RecordOf } from './record.ts';

/** A code, everything it gave, and everything those refresh tokens gave. */
export interface KnownFamily {
  authorization: RecordOf<'authorize'>;
  exchanges: RecordOf<'exchange'>[];
  refreshTokens: Set<string>;
  accessTokens: Set<string>;
}

/**
 * A history, ready to be asked. Families of one session and app may share a grant, which clients cannot
 * see: what ends one of them may end its *siblings*, and what is sure is sure of the family alone.
 */
export interface HistoryIndex {
  families: KnownFamily[];
  siblingsOf(family: KnownFamily): KnownFamily[];
  familyOf(token: string): KnownFamily | undefined;
  /** Requests with this refresh token that may have reached a server. */
  refreshesOf(token: string): RecordOf<'refresh'>[];
  /** Refresh tokens that were given for this one. */
  successorsOf(token: string): string[];
  /** Everything that was done with this access token but its revocation. */
  usesOfAccess(token: string): RecordOf<'introspect' | 'userinfo' | 'validate'>[];
  all<Kind extends Happening['kind']>(kind: Kind): RecordOf<Kind>[];
  /** Those with this token, code, session or user, whichever the kind is about. */
  about<Kind extends Happening['kind']>(kind: Kind, subject: string): RecordOf<Kind>[];
}

/** What is asked about, or done with, an access token. */
export const ACCESS_KINDS = ['introspect', 'userinfo', 'validate'] as const;

export function indexHistory(records: readonly HistoryRecord[]): HistoryIndex {
  const kinds = new Map<string, HistoryRecord[]>();
  const subjects = new Map<string, HistoryRecord[]>();
  for (const record of records) {
    push(kinds, record.kind, record);
    push(subjects, `${record.kind} ${subjectOf(record)}`, record);
  }
  const all = <Kind extends Happening['kind']>(kind: Kind) => (kinds.get(kind) ?? []) as RecordOf<Kind>[];

  const families = new Map<string, KnownFamily>();
  const owners = new Map<string, KnownFamily>();
  const siblings = new Map<string, KnownFamily[]>();
  for (const authorization of all('authorize')) {
    if (authorization.code === undefined) continue;
    const family: KnownFamily = {
      authorization,
      exchanges: [],
      refreshTokens: new Set(),
      accessTokens: new Set(),
    };
    families.set(authorization.code, family);
    push(siblings, siblingKey(family), family);
  }

  const own = (family: KnownFamily, record: { access?: string; refresh?: string }) => {
    if (record.access) family.accessTokens.add(record.access);
    if (record.refresh) family.refreshTokens.add(record.refresh);
    for (const token of [record.access, record.refresh]) if (token) owners.set(token, family);
  };
  for (const exchange of all('exchange')) {
    const family = families.get(exchange.code);
    if (!family || !mayHaveHappened(exchange)) continue;
    family.exchanges.push(exchange);
    own(family, exchange);
  }

  const refreshes = new Map<string, RecordOf<'refresh'>[]>();
  const successors = new Map<string, string[]>();
  // A successor's record never comes before the one that gave it, since nobody could have known it.
  for (const refresh of all('refresh').toSorted((a, b) => a.invokedAt - b.invokedAt)) {
    if (!mayHaveHappened(refresh)) continue;
    push(refreshes, refresh.token, refresh);
    if (refresh.refresh) push(successors, refresh.token, refresh.refresh);
    const family = owners.get(refresh.token);
    if (family) own(family, refresh);
  }

  const about = <Kind extends Happening['kind']>(kind: Kind, subject: string) =>
    (subjects.get(`${kind} ${subject}`) ?? []) as RecordOf<Kind>[];

  return {
    families: [...families.values()],
    siblingsOf: (family) => siblings.get(siblingKey(family)) ?? [],
    familyOf: (token) => owners.get(token) ?? families.get(token),
    refreshesOf: (token) => refreshes.get(token) ?? [],
    successorsOf: (token) => [...new Set(successors.get(token))],
    usesOfAccess: (token) => ACCESS_KINDS.flatMap((kind) => about(kind, token)),
    all,
    about,
  };
}

/** The token, code, session or user that it is about; a request is about itself. */
export function subjectOf(record: HistoryRecord): string {
  if ('token' in record) return record.token;
  if ('session' in record) return record.session;
  if ('user' in record) return record.user;
  if (record.kind === 'request') return `request ${record.id}`;
  return record.kind === 'exchange' ? record.code : '';
}

function siblingKey({ authorization }: KnownFamily): string {
  return `${authorization.session} ${authorization.app}`;
}

function push<Value>(lists: Map<string, Value[]>, key: string, value: Value): void {
  const list = lists.get(key);
  if (list) list.push(value);
  else lists.set(key, [value]);
}
