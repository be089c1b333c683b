import { isDeepStrictEqual } from 'node:util';
import type { Db } from '../db/database.ts';
import { isUniqueViolation } from '../db/database-errors.ts';
import { recordEvent } from '../events/record-event.ts';
import type { Actor } from '../http/actor.ts';
import type { Clock } from '../lib/clock.ts';
import { isId, newId } from '../lib/ids.ts';
import { tenantStore } from '../tenants/tenant-store.ts';
import { checkIdentifier, checkResourceFields, fail } from './resource-input.ts';
import type { NewResource, ResourceFields, ResourcePatch } from './resource-input.ts';
import type { Resource } from './resource.ts';
import { resourceStore } from './resource-store.ts';

export type ResourceService = ReturnType<typeof createResourceService>;

export interface ResourceServiceDeps {
  db: Db;
  now: Clock;
  clientExists: (db: Db, tenantId: string, clientId: string) => Promise<boolean>;
}

/**
 * Registers resources. Every change raises the tenant's configuration version, so that no replica goes on
 * with the old resource, and records an event, in one transaction.
 */
export function createResourceService({ db, now, clientExists }: ResourceServiceDeps) {
  async function checkClients(reader: Db, actor: Actor, clientIds: readonly string[]) {
    const errors = [];
    for (const [index, clientId] of clientIds.entries()) {
      if (await clientExists(reader, actor.tenantId, clientId)) continue;
      errors.push({ path: `/introspection_client_ids/${index}`, message: `there is no client ${clientId}` });
    }
    if (errors.length > 0) throw fail('invalid', { errors });
  }

  function change<Result>(
    actor: Actor,
    identifier: string,
    work: (trx: Db, resource: Resource) => Promise<Result>,
  ) {
    return db.transaction(async (trx) => {
      const resource = await resourceStore(trx, actor.tenantId).findByIdentifierForUpdate(identifier);
      if (!resource) throw fail('not_found');
      const result = await work(trx, resource);
      await tenantStore(trx).raiseConfigVersion(actor.tenantId);
      return result;
    });
  }

  return {
    /** @throws {AppError} `resource.invalid`, `resource.identifier_taken` */
    async create(actor: Actor, { identifier, ...input }: NewResource): Promise<Resource> {
      checkIdentifier(identifier);
      const fields = checkResourceFields({
        name: input.name ?? identifier,
        scopes: input.scopes ?? [],
        accessTokenFormat: input.accessTokenFormat ?? 'jwt',
        accessTokenTtlSeconds: input.accessTokenTtlSeconds ?? null,
        signingAlg: input.signingAlg ?? null,
        introspectionClientIds: input.introspectionClientIds ?? [],
      });
      const createdAt = now();
      const resource: Resource = {
        id: newId(createdAt),
        identifier,
        ...fields,
        createdAt,
        updatedAt: createdAt,
      };

      try {
        await db.transaction(async (trx) => {
          await checkClients(trx, actor, fields.introspectionClientIds);
          await resourceStore(trx, actor.tenantId).insert(resource);
          await tenantStore(trx).raiseConfigVersion(actor.tenantId);
          await recordEvent(trx, actor, 'resource.created', {
            ...targetOf(resource),
            data: { after: auditView(resource) },
          });
        });
      } catch (err) {
        if (isUniqueViolation(err, 'resources_tenant_id_identifier_key')) {
          throw fail('identifier_taken', { cause: err });
        }
        throw err;
      }
      return resource;
    },

    /** @throws {AppError} `resource.not_found` */
    async get(actor: Actor, identifier: string): Promise<Resource> {
      const resource = await resourceStore(db, actor.tenantId).findByIdentifier(identifier);
      if (!resource) throw fail('not_found');
      return resource;
    },

    /** Oldest first. @param page `after`: the `id` of the last one of the page before */
    async list(actor: Actor, { after, limit = 50 }: { after?: string | undefined; limit?: number } = {}) {
      if (after !== undefined && !isId(after)) throw fail('invalid_cursor');
      return resourceStore(db, actor.tenantId).list({ after, limit: Math.min(limit, 200) });
    },

    /**
     * @param patch what changes; lists are replaced as a whole
     * @throws {AppError} `resource.not_found`, `resource.invalid`
     */
    async update(actor: Actor, identifier: string, patch: ResourcePatch): Promise<Resource> {
      return change(actor, identifier, async (trx, resource) => {
        const fields = checkResourceFields(applyPatch(resource, patch));
        // Only the added ones: a client that is gone by now must not stand in the way of another change.
        const added = fields.introspectionClientIds.filter(
          (id) => !resource.introspectionClientIds.includes(id),
        );
        await checkClients(trx, actor, added);
        const changed = { ...resource, ...fields, updatedAt: now() };
        if (isDeepStrictEqual(auditView(resource), auditView(changed))) return resource;

        await resourceStore(trx, actor.tenantId).update(changed);
        await recordEvent(trx, actor, 'resource.updated', {
          ...targetOf(resource),
          data: { before: auditView(resource), after: auditView(changed) },
        });
        return changed;
      });
    },

    /** No new tokens for it; those that are out there live until they expire. */
    async delete(actor: Actor, identifier: string): Promise<void> {
      await change(actor, identifier, async (trx, resource) => {
        await resourceStore(trx, actor.tenantId).remove(resource.id, now());
        await recordEvent(trx, actor, 'resource.deleted', {
          ...targetOf(resource),
          data: { before: auditView(resource) },
        });
      });
    },
  };
}

function applyPatch(resource: Resource, patch: ResourcePatch): Required<ResourcePatch> {
  const accessTokenFormat = patch.accessTokenFormat ?? resource.accessTokenFormat;
  return {
    name: patch.name ?? resource.name,
    scopes: patch.scopes ?? resource.scopes,
    accessTokenFormat,
    accessTokenTtlSeconds:
      patch.accessTokenTtlSeconds === undefined
        ? resource.accessTokenTtlSeconds
        : patch.accessTokenTtlSeconds,
    signingAlg: patch.signingAlg === undefined ? keptAlg(resource, accessTokenFormat) : patch.signingAlg,
    introspectionClientIds: patch.introspectionClientIds ?? resource.introspectionClientIds,
  };
}

/** A resource that turns to opaque tokens has no algorithm any more. */
function keptAlg({ signingAlg }: Resource, accessTokenFormat: string): string | null {
  return accessTokenFormat === 'opaque' ? null : signingAlg;
}

function targetOf({ identifier }: Resource) {
  return { target: { type: 'resource', id: identifier } };
}

function auditView(fields: ResourceFields) {
  return {
    name: fields.name,
    scopes: fields.scopes,
    access_token_format: fields.accessTokenFormat,
    access_token_ttl_seconds: fields.accessTokenTtlSeconds,
    signing_alg: fields.signingAlg,
    introspection_client_ids: fields.introspectionClientIds,
  };
}
