import { AsyncLocalStorage } from 'node:async_hooks';
import type { Knex } from 'knex';
import { errors } from 'oidc-provider';
import type { Db } from '../../db/database.ts';
import type { Actor } from '../../http/actor.ts';
import type { StoredAccount } from './account-read.ts';
import { DeferredWrites } from './deferred-writes.ts';
import type { StoredModel } from './stored-model.ts';
import type { PendingWrites } from './token-writes.ts';

/** A request that locked nothing turns out to need locks; it is done again, and nobody hears of this. */
export class LocksNeeded extends errors.OIDCProviderError {
  constructor() {
    super(503, 'temporarily_unavailable');
    this.expose = true;
    this.allow_redirect = false;
  }
}

/**
 * What one protocol request does to the store. The protocol engine reads, checks and writes in separate
 * steps; the unit of work ties them together, keeps what was read for the engine's next question, and
 * brings everything to the database before the answer leaves: as one transaction from the first read that
 * locks or the first write on, or, at the token endpoint, as one conditional statement at the end.
 */
export class UnitOfWork {
  readonly kind: UnitOfWorkKind;
  /** Whether the person behind a token will be asked for: not to tell or end what a token is worth. */
  readonly asksForAccounts: boolean;
  /**
   * Nothing is locked when it is read; what the request writes waits for its end and stands only if what it
   * builds on is unchanged by then. Whatever does not fit into that asks for locks, and begins anew.
   */
  readonly isOptimistic: boolean;
  readonly deferred = new DeferredWrites();
  /** The optimism was in vain: the request is to be done once more, with locks. */
  needsLocks = false;
  /** What the engine is asked meanwhile, inside this process, belongs to this unit instead of being one of its own. */
  takesRequests = false;
  /** Of an authorization request: whose grant to read along with the session. */
  readonly clientId: string | undefined;
  /** Grants and sessions read along with a token, so that the engine's next question costs nothing. */
  readonly grants = new Map<string, StoredModel | undefined>();
  readonly sessions = new Map<string, StoredModel | undefined>();
  readonly interactions = new Map<string, StoredModel | undefined>();
  readonly accounts = new Map<string, StoredAccount | undefined>();
  /** What a token request will write, all of it or nothing. */
  readonly pending: PendingWrites = { consumed: undefined, saves: [] };
  /** The interaction that is resumed was a sign-in. */
  signsIn = false;
  /** The code or refresh token that the request presents. */
  source: { id: string; grantId: string } | undefined;
  /** The refresh token that is being rotated: its successor's id derives from it. */
  rotatedTokenId: string | undefined;
  /** Set when a client repeats a refresh whose answer it lost: the successor that exists already. */
  repeatedSuccessorId: string | undefined;
  /** A grant whose insert is deferred. */
  newGrantId: string | undefined;
  /** The engine's uid of the session that a grant is made for. */
  sessionOfNewGrant: string | undefined;
  /** Grants are read to be extended: of two extensions at once none may be lost. */
  locksGrants = false;
  /** A token that was presented after it had been used. */
  reused: { grantId: string; clientId: string } | undefined;
  /** The request met a change under way: nothing of it counts, and the browser makes it once more. */
  isRepeated = false;
  /** No browser holds the session that is made: what keeps it alive are refreshes. */
  isWithoutBrowser = false;
  /** The session the browser holds, as it was read, and whether it ended in this request. */
  session: { id: string; uid: string; stored: StoredModel; destroyed: boolean } | undefined;

  readonly #db: Db;
  readonly #actor: () => Actor;
  readonly #finally: (() => void)[] = [];
  readonly #committed: (() => void)[] = [];
  #transaction: Promise<Knex.Transaction> | undefined;
  #failure: Error | undefined;

  constructor(options: UnitOfWorkOptions) {
    this.#db = options.db;
    this.kind = options.kind;
    this.asksForAccounts = options.asksForAccounts ?? true;
    this.isOptimistic = options.isOptimistic ?? false;
    this.#actor = options.actor;
    this.clientId = options.clientId;
  }

  /** In whose name events are recorded. */
  get actor(): Actor {
    return this.#actor();
  }

  /**
   * The transaction, opened at the first call.
   * @throws LocksNeeded where there is to be none
   */
  async transaction(): Promise<Knex.Transaction> {
    this.#refuseAfterFailure();
    if (this.isOptimistic) {
      this.needsLocks = true;
      throw new LocksNeeded();
    }
    this.#transaction ??= begin(this.#db);
    return this.#transaction;
  }

  /** For reads that need no lock: inside the transaction when there is one. */
  async reader(): Promise<Db> {
    this.#refuseAfterFailure();
    return this.#transaction ?? this.#db;
  }

  /**
   * The database did not answer. Whatever else the request wants of it fails at once: it has waited as long
   * as a request may, and the engine asks again while it prepares the answer.
   */
  fail(err: Error): void {
    this.#failure ??= err;
  }

  #refuseAfterFailure(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** For writes: requests that write a single row need no transaction. */
  async writer(): Promise<Db> {
    return this.kind === 'read' ? this.reader() : this.transaction();
  }

  /** Brings the deferred writes to the database. @returns false when it has to be done again with locks */
  async writeDeferred(): Promise<boolean> {
    if (!this.needsLocks && !(await this.deferred.run(await this.reader()))) this.needsLocks = true;
    return !this.needsLocks;
  }

  /** For what is told of what the request did: once it is done for good, and not where it is undone. */
  onCommitted(callback: () => void): void {
    this.#committed.push(callback);
  }

  onEnd(callback: () => void): void {
    this.#finally.push(callback);
  }

  /** @throws what the database failed with, also when the engine made something of it: then it is not whole */
  async commit(): Promise<void> {
    this.#refuseAfterFailure();
    const transaction = await this.#transaction;
    await transaction?.commit();
    // knex resolves `commit` also when COMMIT failed, and tells so here alone.
    await transaction?.executionPromise;
    for (const callback of this.#committed) callback();
  }

  /**
   * Ends the unit: whatever was not committed is undone. Nobody waits for that: its connection goes back to
   * the pool afterwards, and a database that does not answer would hold up the answer that says so.
   */
  async end(): Promise<void> {
    const transaction = await this.#transaction?.catch(() => undefined);
    if (transaction && !transaction.isCompleted()) transaction.rollback().catch(() => {});
    for (const callback of this.#finally) callback();
  }
}

/** knex hands out a transaction also when BEGIN failed, and tells why here alone. */
async function begin(db: Db): Promise<Knex.Transaction> {
  const transaction = await db.transaction();
  if (transaction.isCompleted()) await transaction.executionPromise;
  return transaction;
}

/**
 * token: reads without locks, writes one conditional statement. browser: locks the session and the
 * interaction. write: a transaction from the first write on. read: never a transaction.
 */
export type UnitOfWorkKind = 'token' | 'browser' | 'write' | 'read';

interface UnitOfWorkOptions {
  db: Db;
  kind: UnitOfWorkKind;
  /** Asked when there is something to record: by then the request has told who sent it. */
  actor: () => Actor;
  clientId?: string | undefined;
  asksForAccounts?: boolean;
  /** Of the kind browser. */
  isOptimistic?: boolean;
}

const storage = new AsyncLocalStorage<UnitOfWork>();

export function currentUnitOfWork(): UnitOfWork | undefined {
  return storage.getStore();
}

/**
 * Runs work in a unit of its own and commits when it says so.
 * @param work returns whether to commit; `beforeCommit` steps belong into it
 * @throws whatever the work or the commit throws, after everything was undone
 */
export async function inUnitOfWork(
  options: UnitOfWorkOptions,
  work: (unit: UnitOfWork) => Promise<boolean>,
): Promise<void> {
  const unit = new UnitOfWork(options);
  try {
    await storage.run(unit, async () => {
      if (await work(unit)) await unit.commit();
    });
  } finally {
    await unit.end();
  }
}
