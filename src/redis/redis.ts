import { Redis as Client } from 'ioredis';
import type { RedisOptions } from 'ioredis';
import type { Logger } from '../lib/logger.ts';

/**
 * The connection to Redis. What Redis holds may be lost at any moment (rate-limit counters, messages to
 * other replicas); nothing that security depends on is only there. So Redis is asked, never waited for:
 * whoever asks gets an answer within a moment, or `undefined` and goes on without it.
 */
export interface Redis {
  /** Whether a command has a chance of an answer now. */
  isReady(): boolean;
  /**
   * Runs commands, at once or not at all.
   * @returns undefined when Redis cannot answer now; never throws because of Redis
   */
  attempt<Result>(work: (client: Client) => Promise<Result>): Promise<Result | undefined>;
  /** Resolves when it is clear whether there is a Redis: after the first greeting, or its failure. */
  settled(): Promise<void>;
  /** For what a library has to hold; its commands belong into `attempt`. */
  client: Client;
  /** A second connection with the same settings, as a subscriber needs; closed by `close`. */
  connect(name: string): Client;
  close(): void;
}

/** Longer than a network and a busy Redis take, shorter than anybody notices. */
const COMMAND_TIMEOUT_MS = 250;
const CONNECT_TIMEOUT_MS = 1_000;
const FIRST_RETRY_MS = 50;
const LONGEST_RETRY_MS = 2_000;

/** Connects in the background, again and again; a server starts and runs while Redis is away. */
export function createRedis({ url, log }: { url: string; log: Logger }): Redis {
  const opened: Client[] = [];
  const client = connect('commands');
  let isSilent = false;
  client.on('ready', () => {
    isSilent = false;
  });
  const isReady = () => client.status === 'ready' && !isSilent;

  function connect(name: string): Client {
    const connection = new Client(url, { ...OPTIONS, connectionName: `gatehouse-${name}` });
    logOutages(connection, log, name);
    opened.push(connection);
    return connection;
  }

  const { promise: settled, resolve: settle } = Promise.withResolvers<void>();
  for (const event of ['ready', 'error', 'end'] as const) client.once(event, () => settle());

  return {
    client,
    connect,
    isReady,
    settled: () => settled,

    async attempt(work) {
      if (!isReady()) return undefined;
      try {
        return await work(client);
      } catch (err) {
        log.warn({ err }, 'a Redis command failed');
        // A Redis that has stopped answering keeps its connections open. On a new one nothing is asked until it
        // answers the greeting, so that only one command, not every one, waits for the time-out.
        if (isTimeout(err) && isReady()) {
          isSilent = true;
          cut(client);
        }
        return undefined;
      }
    },

    close() {
      for (const connection of opened) {
        connection.disconnect();
        cut(connection);
      }
    },
  };
}

const OPTIONS = {
  enableOfflineQueue: false,
  maxRetriesPerRequest: 1,
  commandTimeout: COMMAND_TIMEOUT_MS,
  connectTimeout: CONNECT_TIMEOUT_MS,
  // What was sent may have been done: a counter must not count it twice.
  autoResendUnfulfilledCommands: false,
  // Whoever subscribes does so again at every `ready`, and looks for what was missed.
  autoResubscribe: false,
  retryStrategy: (attempt) =>
    Math.min(FIRST_RETRY_MS * 2 ** Math.min(attempt - 1, 10), LONGEST_RETRY_MS) * (0.5 + Math.random() / 2),
  // A replica that was promoted, or a primary that was demoted: the address leads to the right one again.
  reconnectOnError: (err) => err.message.startsWith('READONLY'),
} satisfies RedisOptions;

function isTimeout(err: unknown): boolean {
  return err instanceof Error && err.message === 'Command timed out';
}

/** One line when it goes and one when it is back, however often it is tried in between. */
function logOutages(connection: Client, log: Logger, name: string): void {
  let isAway = false;
  const away = (err?: unknown) => {
    if (!isAway) log.warn({ err, connection: name }, 'Redis is away; going on without it');
    isAway = true;
  };
  connection.on('error', away);
  connection.on('reconnecting', () => away());
  connection.on('ready', () => {
    if (isAway) log.warn({ connection: name }, 'Redis is back');
    isAway = false;
  });
}

/** Without a farewell, for which a Redis that has stopped answering would have to be waited for. */
function cut(connection: Client): void {
  connection.stream?.destroy();
}
