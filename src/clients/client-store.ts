import { prepared } from '../db/database.ts';
import type { Db } from '../db/database.ts';
import type { Client, ClientSecret } from './client.ts';
import type { ClientMetadata } from './client-metadata.ts';

interface ClientRow {
  id: string;
  client_id: string;
  name: string;
  metadata: ClientMetadata;
  first_party: boolean;
  default_scope: string | null;
  default_resource: string | null;
  disabled_at: Date | null;
  created_at: Date;
  updated_at: Date;
  secrets: { id: string; hash: string; hint: string; expires_at: string | null; created_at: string }[];
}

// One query for a client and its live secrets: it is on the path of every request that is not cached.
const SELECT = `
  SELECT c.id, c.client_id, c.name, c.metadata, c.first_party, c.default_scope, c.default_resource,
    c.disabled_at, c.created_at, c.updated_at,
    (SELECT coalesce(json_agg(json_build_object('id', s.id, 'hash', encode(s.secret_hash, 'hex'), 'hint', s.hint,
         'expires_at', s.expires_at, 'created_at', s.created_at) ORDER BY s.id DESC), '[]')
       FROM client_secrets s
      WHERE s.client_uuid = c.id AND (s.expires_at IS NULL OR s.expires_at > now())) AS secrets
  FROM clients c
  WHERE c.tenant_id = ? AND c.deleted_at IS NULL`;

/** Queries of `clients` and `client_secrets`, bound to a tenant. Deleted clients do not exist here. */
export function clientStore(db: Db, tenantId: string) {
  const clients = () => db('clients').where({ tenant_id: tenantId });
  const secrets = () => db('client_secrets').where({ tenant_id: tenantId });

  return {
    /**
     * @param clientId what the client calls itself; unknown and malformed ones are simply not found
     * @returns the client with its secrets that have not expired, disabled or not
     */
    async find(clientId: string): Promise<Client | undefined> {
      // PostgreSQL refuses NUL in text, and a stranger's request must not become a server error.
      if (clientId.includes('\0')) return undefined;
      const { rows } = await prepared<ClientRow>(db, 'find-client', `${SELECT} AND c.client_id = ?`, [
        tenantId,
        clientId,
      ]);
      return rows[0] && fromRow(rows[0]);
    },

    /** Also one that was disabled or deleted: what it is told of its own end needs its metadata. */
    async findEvenGone(
      clientId: string,
    ): Promise<Pick<Client, 'clientId' | 'name' | 'metadata'> | undefined> {
      const row = await clients().where({ client_id: clientId }).first('client_id', 'name', 'metadata');
      return row && { clientId: row.client_id, name: row.name, metadata: row.metadata };
    },

    /** The same, holding the row until the transaction ends. */
    async findForUpdate(clientId: string): Promise<Client | undefined> {
      if (clientId.includes('\0')) return undefined;
      await clients().where({ client_id: clientId }).whereNull('deleted_at').forUpdate().select('id');
      // A statement of its own: one that waited for the lock would show the secrets of before the wait.
      return this.find(clientId);
    },

    /** @param clientIds ids that were stored, so that none is malformed */
    async findAll(clientIds: readonly string[]): Promise<Client[]> {
      const { rows } = await prepared<ClientRow>(
        db,
        'find-clients',
        `${SELECT} AND c.client_id = ANY (?::text[])`,
        [tenantId, [...clientIds]],
      );
      return rows.map(fromRow);
    },

    /** @param page `after`: the `id` of the last client of the page before */
    async list({ after, limit }: { after?: string | undefined; limit: number }): Promise<Client[]> {
      const { rows } = await prepared<ClientRow>(
        db,
        'list-clients',
        `${SELECT} AND (?::uuid IS NULL OR c.id > ?::uuid) ORDER BY c.id LIMIT ?`,
        [tenantId, after ?? null, after ?? null, limit],
      );
      return rows.map(fromRow);
    },

    /** @throws a unique violation of `clients_tenant_id_client_id_key`, also for the id of a deleted client */
    async insert(client: Omit<Client, 'secrets'>): Promise<void> {
      await db('clients').insert({
        id: client.id,
        tenant_id: tenantId,
        client_id: client.clientId,
        ...columnsOf(client),
        created_at: client.createdAt,
        updated_at: client.updatedAt,
      });
    },

    async update(client: Omit<Client, 'secrets'>): Promise<void> {
      await clients()
        .where({ id: client.id })
        .update({ ...columnsOf(client), updated_at: client.updatedAt });
    },

    /** The row stays, so that its id is never given out again; the secrets go, and the grants are to. */
    async remove(id: string, now: Date): Promise<void> {
      await secrets().where({ client_uuid: id }).delete();
      await clients()
        .where({ id })
        .update({ deleted_at: now, updated_at: now, access_ending_since: db.fn.now() });
    },

    /** Its grants are still to end, as the engine's store goes on to do from here (src/oidc/adapter/client-access.ts). */
    async markAccessEnding(id: string): Promise<void> {
      await clients().where({ id }).update({ access_ending_since: db.fn.now() });
    },

    async unmarkAccessEnding(id: string): Promise<void> {
      await clients().where({ id }).update({ access_ending_since: null });
    },

    async insertSecret(id: string, secret: ClientSecret): Promise<void> {
      await db('client_secrets').insert({
        id: secret.id,
        tenant_id: tenantId,
        client_uuid: id,
        secret_hash: secret.hash,
        hint: secret.hint,
        expires_at: secret.expiresAt,
        created_at: secret.createdAt,
        updated_at: secret.createdAt,
      });
    },

    async expireSecret(secretId: string, expiresAt: Date, now: Date): Promise<void> {
      await secrets().where({ id: secretId }).update({ expires_at: expiresAt, updated_at: now });
    },

    async removeSecret(secretId: string): Promise<void> {
      await secrets().where({ id: secretId }).delete();
    },

    async removeSecrets(id: string): Promise<void> {
      await secrets().where({ client_uuid: id }).delete();
    },

    async removeExpiredSecrets(id: string, now: Date): Promise<void> {
      await secrets().where({ client_uuid: id }).where('expires_at', '<=', now).delete();
    },
  };
}

function columnsOf(client: Omit<Client, 'secrets'>) {
  return {
    name: client.name,
    metadata: JSON.stringify(client.metadata),
    first_party: client.firstParty,
    default_scope: client.defaultScope,
    default_resource: client.defaultResource,
    disabled_at: client.disabledAt,
  };
}

function fromRow(row: ClientRow): Client {
  return {
    id: row.id,
    clientId: row.client_id,
    name: row.name,
    metadata: row.metadata,
    firstParty: row.first_party,
    defaultScope: row.default_scope,
    defaultResource: row.default_resource,
    disabledAt: row.disabled_at,
    secrets: row.secrets.map((secret) => ({
      id: secret.id,
      hash: Buffer.from(secret.hash, 'hex'),
      hint: secret.hint,
      expiresAt: secret.expires_at === null ? null : new Date(secret.expires_at),
      createdAt: new Date(secret.created_at),
    })),
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}
