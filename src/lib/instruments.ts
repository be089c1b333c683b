import { channel } from 'node:diagnostics_channel';

/**
 * What happens inside, told to whoever measures it. Without a listener nothing is built and nobody is
 * called, so that code on the hot path can afford to tell.
 */
export interface Instrument<Measurement> {
  /** Ask before taking times or building a measurement. */
  readonly isObserved: boolean;
  record(measurement: Measurement): void;
  /** @returns how to stop listening */
  observe(listener: (measurement: Measurement) => void): () => unknown;
}

function instrument<Measurement>(name: string): Instrument<Measurement> {
  const events = channel(`gatehouse:${name}`);
  return {
    get isObserved() {
      return events.hasSubscribers;
    },
    record: (measurement) => events.publish(measurement),
    observe(listener) {
      const onMessage = (message: unknown) => listener(message as Measurement);
      events.subscribe(onMessage);
      return () => events.unsubscribe(onMessage);
    },
  };
}

/** A prepared statement, from asking for a connection to its rows; any other by its command, from sending it. */
export const statements = instrument<{ name: string; seconds: number; isOk: boolean }>('statement');

/** Somebody asked for a connection of the pool, and has it or has given up. */
export const connectionWaits = instrument<{ seconds: number }>('connection-wait');

/**
 * The database was waited for in vain: for a connection, for what another transaction has locked, for a statement
 * to be done, or for any answer.
 */
export const databaseTimeouts = instrument<{ kind: 'connection' | 'lock' | 'statement' | 'answer' }>(
  'database-timeout',
);

/** A look into the memory of a tenant's clients or resources. */
export const directoryLookups = instrument<{ kind: 'client' | 'resource'; isHit: boolean }>(
  'directory-lookup',
);

/** Requests with one and the same token queue up; this one had its turn. */
export const gateWaits = instrument<{ seconds: number }>('gate-wait');

/** A request that was refused because there were too many. */
export const rateLimitings = instrument<{ limit: string }>('rate-limiting');

/** The token endpoint answered with tokens. */
export const tokenResponses = instrument<{ grantType: string }>('token-response');

/** A password was given, or not judged because of too many or too busy. */
export const signIns = instrument<{ outcome: 'success' | 'failure' | 'throttled' | 'busy' }>('sign-in');

/** A sign-in was let in, after it had waited for so long. */
export const signInWaits = instrument<{ seconds: number }>('sign-in-wait');

/** A new password was looked up among breached ones. */
export const breachChecks = instrument<{ outcome: 'found' | 'clear' | 'unavailable' }>('breach-check');
