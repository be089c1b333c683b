/**
 * What happened, as the clients saw it: every operation with the moment it was sent, the moment its
 * answer was there, and what the answer said. One clock, that of the process that records.
 */
export type HistoryRecord = Moment & Happening;

interface Moment {
  id: number;
  /** Which of the concurrent clients. */
  worker: number;
  /** Which server was asked first. */
  server: number;
  /** Milliseconds since the start of the history. */
  invokedAt: number;
  respondedAt: number;
  outcome: OperationOutcome;
  /** Status and error code, or how the request got lost. */
  detail: string;
}

/**
 * ok: done and acknowledged. refused: definitely not done, for what the protocol calls the client's
 * fault. unavailable, unknown: answered by 503, or not at all; it may have been done or not. not-sent:
 * nobody listened. broken: an answer that must never be given.
 */
export type OperationOutcome = 'ok' | 'refused' | 'unavailable' | 'unknown' | 'not-sent' | 'broken';

export type Happening =
  | {
      kind: 'authorize';
      session: string;
      user: string;
      app: string;
      /** With offline access the tokens outlive the session. */
      offline: boolean;
      /** Whether the password was asked for: the session begins here. */
      signIn: boolean;
      code?: string;
    }
  | ({ kind: 'exchange'; code: string } & Issued)
  | ({ kind: 'refresh'; token: string } & Issued)
  /**
   * Access tokens only. `refused`: the answer says inactive, or 401. introspect: by the app that it was issued
   * to; validate: by the service that it is for.
   */
  | { kind: 'introspect' | 'userinfo' | 'validate'; token: string }
  | { kind: 'revoke'; token: string }
  | { kind: 'logout'; session: string }
  | { kind: 'disable' | 'enable'; user: string }
  | { kind: 'rotate-keys' }
  /** Whether an ID token verifies with the keys a server publishes. */
  | { kind: 'verify'; token: string }
  /** One of the requests of an operation, where it took long or was answered by 503 (watched-balancer.ts). */
  | { kind: 'request'; path: string; retryAfterSeconds: number | undefined }
  /** The machine had other things to do, or the server was stopped (pulse.ts). */
  | { kind: 'late-beat'; lateMs: number }
  /** Something was done to the servers or to their database. */
  | { kind: 'fault'; fault: string };

/** Present where the outcome is `ok`. */
export interface Issued {
  access?: string;
  refresh?: string;
  idToken?: string;
}

export type RecordOf<Kind extends Happening['kind']> = Moment & Happening & { kind: Kind };

export interface Recorder {
  records: HistoryRecord[];
  /** Milliseconds since the start. */
  now(): number;
  add(record: Omit<Moment, 'id' | 'respondedAt'> & Happening): HistoryRecord;
}

export function createRecorder(): Recorder {
  const started = performance.now();
  const records: HistoryRecord[] = [];
  const now = () => performance.now() - started;
  return {
    records,
    now,
    add(record) {
      const complete: HistoryRecord = { ...record, id: records.length, respondedAt: now() };
      records.push(complete);
      return complete;
    },
  };
}

/** Whether the server may have acted on it. */
export function mayHaveHappened({ outcome }: { outcome: OperationOutcome }): boolean {
  return outcome !== 'not-sent';
}
