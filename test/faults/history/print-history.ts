import type { Violation } from './check-history.ts';
import type { HistoryRecord } from './record.ts';

/** A history for people: one line an operation, short names for tokens, in the order in which they were sent. */
export function printHistory(records: readonly HistoryRecord[]): string {
  const nameOf = createNames();
  const lines = records
    .toSorted((a, b) => a.invokedAt - b.invokedAt)
    .map((record) => {
      const span = `${record.invokedAt.toFixed(0).padStart(7)} – ${record.respondedAt.toFixed(0).padStart(7)} ms`;
      const who = HAS_NO_CLIENT.has(record.kind)
        ? ''
        : `client ${record.worker} → server ${record.server % 2}`;
      return `${span}  ${who.padEnd(24)}${describe(record, nameOf)}`;
    });
  return lines.join('\n');
}

export function printViolation({ rule, message, record, because }: Violation): string {
  const nameOf = createNames();
  const reasons = because.map((one) => `\n    because of: ${describe(one, nameOf)}`);
  return `Broken: ${rule}.\n    ${describe(record, nameOf)} — ${message}${reasons.join('')}`;
}

const HAS_NO_CLIENT = new Set<HistoryRecord['kind']>(['fault', 'request', 'late-beat']);

type NameOf = (kind: string, value: string | undefined) => string;

function createNames(): NameOf {
  const names = new Map<string, string>();
  const counts = new Map<string, number>();
  return (kind, value) => {
    if (value === undefined) return '–';
    const known = names.get(value);
    if (known) return known;
    const count = (counts.get(kind) ?? 0) + 1;
    counts.set(kind, count);
    names.set(value, `${kind}${count}`);
    return `${kind}${count}`;
  };
}

function describe(record: HistoryRecord, nameOf: NameOf): string {
  const answer = `${record.outcome}${record.detail ? ` (${record.detail})` : ''}`;
  switch (record.kind) {
    case 'authorize': {
      const who = `${nameOf('user', record.user)} in ${nameOf('session', record.session)} for ${nameOf('app', record.app)}`;
      const how = `${record.signIn ? ', signing in' : ''}${record.offline ? ', offline' : ''}`;
      return `authorize ${who}${how}: ${answer} ${nameOf('code', record.code)}`;
    }
    case 'exchange':
      return `exchange ${nameOf('code', record.code)}: ${answer} ${given(record, nameOf)}`;
    case 'refresh':
      return `refresh ${nameOf('refresh', record.token)}: ${answer} ${given(record, nameOf)}`;
    case 'introspect':
    case 'userinfo':
    case 'validate':
    case 'revoke':
    case 'verify': {
      const kind = record.kind === 'verify' ? 'id' : record.token.startsWith('rt_') ? 'refresh' : 'access';
      return `${record.kind} ${nameOf(kind, record.token)}: ${answer}`;
    }
    case 'logout':
      return `log out of ${nameOf('session', record.session)}: ${answer}`;
    case 'disable':
    case 'enable':
      return `${record.kind} ${nameOf('user', record.user)}: ${answer}`;
    case 'rotate-keys':
      return `rotate keys: ${answer}`;
    case 'request':
      return `request of ${record.path}: ${answer}`;
    case 'late-beat':
      return `server ${record.server} was ${Math.round(record.lateMs)} ms late`;
    case 'fault':
      return `*** ${record.fault}`;
  }
}

function given(record: { access?: string; refresh?: string }, nameOf: NameOf): string {
  if (!record.access && !record.refresh) return '';
  return `→ ${nameOf('refresh', record.refresh)}, ${nameOf('access', record.access)}`;
}
