import { isDeepStrictEqual } from 'node:util';
import type { Db } from '../db/database.ts';
import { isUniqueViolation } from '../db/database-errors.ts';
import { recordEvent } from '../events/record-event.ts';
import type { Actor } from '../http/actor.ts';
import type { Clock } from '../lib/clock.ts';
import { isId, newId } from '../lib/ids.ts';
import { tenantStore } from '../tenants/tenant-store.ts';
import { usesSecret } from './client.ts';
import type { Client } from './client.ts';
import { fail } from './client-errors.ts';
import { applyPatch, checkClientFields, checkClientId, generatedClientId } from './client-input.ts';
import type { ClientFields, ClientPatch, NewClient } from './client-input.ts';
import { revokeSecret, rotateSecret } from './client-secret-rotation.ts';
import { newClientSecret } from './client-secrets.ts';
import { clientStore } from './client-store.ts';

export type ClientService = ReturnType<typeof createClientService>;

export interface ClientServiceDeps {
  db: Db;
  now: Clock;
  /** Development: web applications may use http on a loopback address. */
  allowLocalHttp: boolean;
  /** The protocol engine's own opinion of the metadata; throws an `AppError` where it disagrees. */
  checkMetadata: (metadata: Record<string, unknown>) => Promise<void>;
  /**
   * Ends grants of a client that is disabled or gone: as many as can be at once, after the change itself has
   * committed. What is left is done by a job. Never throws: nothing of the change hangs on it.
   */
  beginEndingAccess: (client: { tenantId: string; clientId: string }) => Promise<void>;
  /** Ends what is left. @returns whether that was all of it, so that nothing can come back with the client */
  finishEndingAccess: (trx: Db, tenantId: string, clientId: string) => Promise<boolean>;
  resourceExists: (db: Db, tenantId: string, identifier: string) => Promise<boolean>;
}

/** A secret is in the answer of the call that made it and never again. */
export interface ClientWithSecret {
  client: Client;
  secret?: string;
}

const DEFAULT_EXPIRE_OLD_SECONDS = 86_400;

/**
 * Registers clients. Every change takes the client's row lock, raises the tenant's configuration version,
 * so that no replica goes on with the old client, and records an event, in one transaction.
 */
export function createClientService(deps: ClientServiceDeps) {
  const { db, now, allowLocalHttp } = deps;

  async function check(reader: Db, actor: Actor, clientId: string, given: Omit<NewClient, 'clientId'>) {
    const fields = checkClientFields(given, { allowLocalHttp });
    if (fields.defaultResource !== null) await checkDefaultResource(reader, actor, fields.defaultResource);
    // Without the scope: the engine knows those of OpenID Connect alone, a client may also name those of APIs.
    const { scope: _scope, ...metadata } = fields.metadata;
    await deps.checkMetadata({ client_id: clientId, client_name: fields.name, ...metadata });
    return fields;
  }

  async function checkDefaultResource(reader: Db, actor: Actor, identifier: string) {
    if (await deps.resourceExists(reader, actor.tenantId, identifier)) return;
    throw fail('invalid', {
      errors: [{ path: '/default_resource', message: 'is not a registered resource' }],
    });
  }

  /** Runs a change under the client's lock. */
  function change<Result>(
    actor: Actor,
    clientId: string,
    work: (trx: Db, client: Client) => Promise<Result>,
  ) {
    return db.transaction(async (trx) => {
      const client = await clientStore(trx, actor.tenantId).findForUpdate(clientId);
      if (!client) throw fail('not_found');
      const result = await work(trx, client);
      await tenantStore(trx).raiseConfigVersion(actor.tenantId);
      return result;
    });
  }

  /** The change commits by itself: a client must be shut out however many grants it has. */
  async function shutOut<Result>(
    actor: Actor,
    clientId: string,
    work: (trx: Db, client: Client) => Promise<Result>,
  ): Promise<Result> {
    const result = await change(actor, clientId, work);
    await deps.beginEndingAccess({ tenantId: actor.tenantId, clientId });
    return result;
  }

  return {
    /**
     * @returns the client, with a secret where its authentication method needs one
     * @throws {AppError} `client.invalid`, `client.id_taken`
     */
    async create(actor: Actor, input: NewClient): Promise<ClientWithSecret> {
      const clientId = input.clientId ?? generatedClientId();
      checkClientId(clientId);
      const fields = await check(db, actor, clientId, input);
      const createdAt = now();
      const client: Client = {
        id: newId(createdAt),
        clientId,
        ...fields,
        disabledAt: null,
        secrets: [],
        createdAt,
        updatedAt: createdAt,
      };
      const made = usesSecret(fields.metadata) ? newClientSecret(createdAt) : undefined;

      try {
        await db.transaction(async (trx) => {
          const store = clientStore(trx, actor.tenantId);
          await store.insert(client);
          if (made) await store.insertSecret(client.id, made.row);
          await tenantStore(trx).raiseConfigVersion(actor.tenantId);
          await recordEvent(trx, actor, 'client.created', {
            ...targetOf(client),
            data: { after: auditView(client) },
          });
        });
      } catch (err) {
        if (isUniqueViolation(err, 'clients_tenant_id_client_id_key')) throw fail('id_taken', { cause: err });
        throw err;
      }
      return made ? { client: { ...client, secrets: [made.row] }, secret: made.secret } : { client };
    },

    /** @throws {AppError} `client.not_found` */
    async get(actor: Actor, clientId: string): Promise<Client> {
      const client = await clientStore(db, actor.tenantId).find(clientId);
      if (!client) throw fail('not_found');
      return client;
    },

    /** Oldest first. @param page `after`: the `id` (not the client id) of the last one of the page before */
    async list(actor: Actor, { after, limit = 50 }: { after?: string | undefined; limit?: number } = {}) {
      if (after !== undefined && !isId(after)) throw fail('invalid_cursor');
      return clientStore(db, actor.tenantId).list({ after, limit: Math.min(limit, 200) });
    },

    /**
     * @param patch what changes; checked as a whole with what stays
     * @returns the client, with a secret where it turned to a method that needs one
     * @throws {AppError} `client.not_found`, `client.invalid`
     */
    async update(actor: Actor, clientId: string, patch: ClientPatch): Promise<ClientWithSecret> {
      return change(actor, clientId, async (trx, client) => {
        const fields = await check(trx, actor, clientId, applyPatch(client, patch));
        const changed: Client = { ...client, ...fields, updatedAt: now() };
        if (isDeepStrictEqual(auditView(client), auditView(changed))) return { client };

        const store = clientStore(trx, actor.tenantId);
        await store.update(changed);
        await recordEvent(trx, actor, 'client.updated', {
          ...targetOf(client),
          data: { before: auditView(client), after: auditView(changed) },
        });

        if (usesSecret(changed.metadata) === usesSecret(client.metadata)) return { client: changed };
        await store.removeSecrets(client.id);
        if (!usesSecret(changed.metadata)) return { client: { ...changed, secrets: [] } };
        const { secret, row } = newClientSecret(now());
        await store.insertSecret(client.id, row);
        return { client: { ...changed, secrets: [row] }, secret };
      });
    },

    /** Its grants and tokens end with it, and its id is never given out again. */
    async delete(actor: Actor, clientId: string): Promise<void> {
      await shutOut(actor, clientId, async (trx, client) => {
        await clientStore(trx, actor.tenantId).remove(client.id, now());
        await recordEvent(trx, actor, 'client.deleted', {
          ...targetOf(client),
          data: { before: auditView(client) },
        });
      });
    },

    /** Ends its grants and tokens, too. Again on a disabled client: nothing happens but more of that. */
    async disable(actor: Actor, clientId: string): Promise<Client> {
      return shutOut(actor, clientId, async (trx, client) => {
        if (client.disabledAt !== null) return client;
        const changed = { ...client, disabledAt: now(), updatedAt: now() };
        const store = clientStore(trx, actor.tenantId);
        await store.update(changed);
        await store.markAccessEnding(client.id);
        await recordEvent(trx, actor, 'client.disabled', targetOf(client));
        return changed;
      });
    },

    /**
     * None of its old grants comes back with it.
     * @throws {AppError} `client.not_found`, `client.access_ending`
     */
    async enable(actor: Actor, clientId: string): Promise<Client> {
      return change(actor, clientId, async (trx, client) => {
        if (client.disabledAt === null) return client;
        if (!(await deps.finishEndingAccess(trx, actor.tenantId, clientId)))
          throw fail('access_ending', { retryAfterSeconds: 2 });
        const changed = { ...client, disabledAt: null, updatedAt: now() };
        const store = clientStore(trx, actor.tenantId);
        await store.update(changed);
        await store.unmarkAccessEnding(client.id);
        await recordEvent(trx, actor, 'client.enabled', targetOf(client));
        return changed;
      });
    },

    /**
     * Adds a secret; the old ones go on working for a while.
     * @param options `expireOldAfterSeconds`: default a day; 0 ends the old ones at once, which always works
     * @throws {AppError} `client.not_found`, `client.no_secret`, `client.too_many_secrets`
     */
    async rotateSecret(
      actor: Actor,
      clientId: string,
      { expireOldAfterSeconds = DEFAULT_EXPIRE_OLD_SECONDS }: { expireOldAfterSeconds?: number } = {},
    ): Promise<Required<ClientWithSecret>> {
      return change(actor, clientId, (trx, client) =>
        rotateSecret(trx, actor, client, { expireOldAfterSeconds, now: now() }),
      );
    },

    /** @throws {AppError} `client.not_found`, `client.secret_not_found` */
    async revokeSecret(actor: Actor, clientId: string, hint: string): Promise<Client> {
      return change(actor, clientId, (trx, client) => revokeSecret(trx, actor, client, { hint, now: now() }));
    },
  };
}

function targetOf({ clientId }: Client) {
  return { target: { type: 'client', id: clientId } };
}

/** What an auditor may see of a client: everything but its secrets. */
function auditView({ name, metadata, firstParty, defaultScope, defaultResource }: ClientFields) {
  return {
    name,
    first_party: firstParty,
    default_scope: defaultScope,
    default_resource: defaultResource,
    metadata,
  };
}
