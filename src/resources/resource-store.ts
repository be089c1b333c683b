import { prepared } from '../db/database.ts';
import type { Db } from '../db/database.ts';
import type { Resource, ResourceScope } from './resource.ts';

interface ResourceRow {
  id: string;
  identifier: string;
  name: string;
  scopes: ResourceScope[];
  access_token_format: Resource['accessTokenFormat'];
  access_token_ttl_seconds: number | null;
  signing_alg: Resource['signingAlg'];
  introspection_client_ids: string[];
  created_at: Date;
  updated_at: Date;
}

const SELECT = `
  SELECT id, identifier, name, scopes, access_token_format, access_token_ttl_seconds, signing_alg,
    introspection_client_ids, created_at, updated_at
  FROM resources
  WHERE tenant_id = ? AND deleted_at IS NULL`;

/** Queries of `resources`, bound to a tenant. Deleted resources do not exist here. */
export function resourceStore(db: Db, tenantId: string) {
  const resources = () => db('resources').where({ tenant_id: tenantId }).whereNull('deleted_at');

  return {
    /** @param identifier exactly as registered; unknown and malformed ones are simply not found */
    async findByIdentifier(identifier: string): Promise<Resource | undefined> {
      // PostgreSQL refuses NUL in text, and a stranger's request must not become a server error.
      if (identifier.includes('\0')) return undefined;
      const { rows } = await prepared<ResourceRow>(db, 'find-resource', `${SELECT} AND identifier = ?`, [
        tenantId,
        identifier,
      ]);
      return rows[0] && fromRow(rows[0]);
    },

    /** The same, holding the row until the transaction ends. */
    async findByIdentifierForUpdate(identifier: string): Promise<Resource | undefined> {
      if (identifier.includes('\0')) return undefined;
      await resources().where({ identifier }).forUpdate().select('id');
      return this.findByIdentifier(identifier);
    },

    /** @param identifiers some that were stored, so that none is malformed */
    async findByIdentifiers(identifiers: readonly string[]): Promise<Resource[]> {
      const { rows } = await prepared<ResourceRow>(
        db,
        'find-resources',
        `${SELECT} AND identifier = ANY (?::text[])`,
        [tenantId, [...identifiers]],
      );
      return rows.map(fromRow);
    },

    /** @param page `after`: the `id` of the last resource of the page before */
    async list({ after, limit }: { after?: string | undefined; limit: number }): Promise<Resource[]> {
      const { rows } = await prepared<ResourceRow>(
        db,
        'list-resources',
        `${SELECT} AND (?::uuid IS NULL OR id > ?::uuid) ORDER BY id LIMIT ?`,
        [tenantId, after ?? null, after ?? null, limit],
      );
      return rows.map(fromRow);
    },

    /** @throws a unique violation of `resources_tenant_id_identifier_key` */
    async insert(resource: Resource): Promise<void> {
      await db('resources').insert({
        id: resource.id,
        tenant_id: tenantId,
        identifier: resource.identifier,
        ...columnsOf(resource),
        created_at: resource.createdAt,
        updated_at: resource.updatedAt,
      });
    },

    async update(resource: Resource): Promise<void> {
      await resources()
        .where({ id: resource.id })
        .update({ ...columnsOf(resource), updated_at: resource.updatedAt });
    },

    /** The row stays for the audit trail; the identifier may be registered again. */
    async remove(id: string, now: Date): Promise<void> {
      await resources().where({ id }).update({ deleted_at: now, updated_at: now });
    },
  };
}

function columnsOf(resource: Resource) {
  return {
    name: resource.name,
    scopes: JSON.stringify(resource.scopes),
    access_token_format: resource.accessTokenFormat,
    access_token_ttl_seconds: resource.accessTokenTtlSeconds,
    signing_alg: resource.signingAlg,
    introspection_client_ids: resource.introspectionClientIds,
  };
}

function fromRow(row: ResourceRow): Resource {
  return {
    id: row.id,
    identifier: row.identifier,
    name: row.name,
    scopes: row.scopes,
    accessTokenFormat: row.access_token_format,
    accessTokenTtlSeconds: row.access_token_ttl_seconds,
    signingAlg: row.signing_alg,
    introspectionClientIds: row.introspection_client_ids,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}
