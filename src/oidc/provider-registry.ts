import { LRUCache } from 'lru-cache';
import type Provider from 'oidc-provider';
import { publicJwks } from '../keys/public-jwks.ts';
import { withinWaitBudget, withoutWaitBudget } from '../db/wait-budget.ts';
import type { KeyService } from '../keys/key-service.ts';
import type { KeyStatus, PublicJwk } from '../keys/signing-key.ts';
import { oneAtATime } from '../lib/one-at-a-time.ts';
import { issuerOf, mountPathOf } from '../tenants/tenant.ts';
import type { Tenant } from '../tenants/tenant.ts';
import { tenantStore } from '../tenants/tenant-store.ts';
import { guarded } from './adapter/store-errors.ts';
import { createAccessTokens } from './access-tokens/access-tokens.ts';
import type { AccessTokens } from './access-tokens/access-tokens.ts';
import { apiResource } from './api-resource.ts';
import { createDocumentAnswers } from './document-answers.ts';
import { portalClient } from './extensions/portal-client.ts';
import { buildProvider } from './provider.ts';
import type { ProviderDeps, TenantContext } from './provider-deps.ts';
import { createTenantDirectory } from './tenant-directory.ts';

/**
 * One provider per tenant and version. A change of keys raises the tenant's version; every replica looks
 * for raised versions a few times a second, or at once when it hears of one, builds the new provider beside
 * the old one and swaps. With the database out of reach the providers that exist go on.
 */
export interface TenantProvider {
  tenant: Tenant;
  context: TenantContext;
  provider: Provider;
  accessTokens: AccessTokens;
  /** Of the keys it signs with, accepts and publishes. */
  kids: ReadonlySet<string>;
  handle: ReturnType<Provider['callback']>;
}

export type ProviderRegistry = ReturnType<typeof createProviderRegistry>;

const MOST_PROVIDERS = 500;
const PUBLISHED = new Set<KeyStatus>(['next', 'current', 'retiring']);

export function createProviderRegistry(
  deps: ProviderDeps & { keys: Pick<KeyService, 'signingJwks' | 'list'>; pollMs: number },
) {
  const bySlug = new LRUCache<string, Promise<TenantProvider | undefined>>({ max: MOST_PROVIDERS });
  /** What became of these promises. */
  const settled = new WeakMap<Promise<TenantProvider | undefined>, TenantProvider>();
  let timer: NodeJS.Timeout | undefined;
  let polling: Promise<void> | undefined;

  /** The tenant's provider, or undefined if there is no such tenant or it is disabled. */
  function get(slug: string): Promise<TenantProvider | undefined> {
    const known = bySlug.get(slug);
    if (known && settled.has(known)) return known;
    // The first of a crowd begins the loading; it goes on, and the others wait, when that one gives up.
    return guarded(() => withinWaitBudget(() => known ?? withoutWaitBudget(() => begin(slug))));
  }

  function begin(slug: string): Promise<TenantProvider | undefined> {
    const loading = load(slug).then(
      (loaded) => {
        if (loaded) settled.set(loading, loaded);
        // Unknown slugs are not remembered: their tenant may be created in the next second.
        if (!loaded && bySlug.get(slug) === loading) bySlug.delete(slug);
        return loaded;
      },
      (err: unknown) => {
        if (bySlug.get(slug) === loading) bySlug.delete(slug);
        throw err;
      },
    );
    bySlug.set(slug, loading);
    return loading;
  }

  /** What `get` resolves to, if it has been loaded. */
  function peek(slug: string): TenantProvider | undefined {
    const known = bySlug.get(slug);
    return known && settled.get(known);
  }

  async function load(slug: string): Promise<TenantProvider | undefined> {
    return guarded(async () => {
      const tenant = await tenantStore(deps.db).findBySlug(slug);
      return tenant && tenant.disabledAt === null ? build(tenant) : undefined;
    });
  }

  async function build(tenant: Tenant): Promise<TenantProvider> {
    const issuer = issuerOf(deps.publicUrl, tenant);
    const context: TenantContext = {
      ...deps,
      tenant,
      issuer,
      mountPath: mountPathOf(tenant),
      directory: createTenantDirectory({
        db: deps.db,
        tenantId: tenant.id,
        builtIn: [apiResource(issuer, tenant.settings)],
        builtInClients: [portalClient(issuer)],
      }),
      documents: createDocumentAnswers(),
      publishedKeys: publishedKeysOf(tenant.id),
    };
    const keys = await deps.keys.signingJwks(tenant.id);
    const accessTokens = createAccessTokens(context, publicJwks(keys));
    const provider = buildProvider(context, keys, accessTokens);
    const kids = new Set(keys.map(({ kid }) => kid));
    return { tenant, context, provider, accessTokens, kids, handle: provider.callback() };
  }

  /** Whoever makes keys up must not be able to send a query each; nobody gets an answer older than the question. */
  function publishedKeysOf(tenantId: string): () => Promise<PublicJwk[]> {
    const read = oneAtATime(() => withoutWaitBudget(() => deps.keys.list(tenantId)));
    return async () => {
      const keys = await guarded(() => withinWaitBudget(read));
      return keys.filter(({ status }) => PUBLISHED.has(status)).map((key) => key.publicJwk);
    };
  }

  /** Takes over what was changed: providers with new keys, clients and resources. */
  const refresh = oneAtATime(async () => {
    const loaded = (
      await Promise.all([...bySlug.values()].map((entry) => entry.catch(() => undefined)))
    ).filter((entry) => entry !== undefined);
    if (loaded.length === 0) return;

    const versions = new Map(
      (await tenantStore(deps.db).versions(loaded.map(({ tenant }) => tenant.id))).map((version) => [
        version.id,
        version,
      ]),
    );
    for (const entry of loaded) {
      const version = versions.get(entry.tenant.id);
      if (version?.oidcVersion !== entry.tenant.oidcVersion) await swap(entry);
      else if (version.configVersion !== entry.tenant.configVersion) {
        entry.tenant.configVersion = version.configVersion;
        entry.context.directory.clear();
      }
    }
  });

  /** @param tenantId undefined: all of them */
  function forget(tenantId: string | undefined): void {
    for (const loading of bySlug.values()) {
      const clear = (entry: TenantProvider | undefined) => {
        if (tenantId === undefined || entry?.tenant.id === tenantId) entry?.context.directory.clear();
      };
      loading.then(clear, () => {});
    }
  }

  function look(): Promise<void> {
    return refresh().catch((err: unknown) => deps.log.warn({ err }, 'could not look for changed tenants'));
  }

  /**
   * A tenant that cannot be built keeps what it has, and the others do not wait for it. With a key that was revoked
   * nothing is signed and nothing accepted any more: then it has nothing until it can be built.
   */
  async function swap(entry: TenantProvider): Promise<void> {
    const { id, slug } = entry.tenant;
    try {
      const next = await load(slug);
      if (next) {
        const loaded = Promise.resolve(next);
        settled.set(loaded, next);
        bySlug.set(slug, loaded);
      } else bySlug.delete(slug);
    } catch (err) {
      const isRevoked = await hasRevokedKey(entry);
      if (isRevoked) bySlug.delete(slug);
      deps.log.error(
        { err, tenant_id: id, is_served: !isRevoked },
        'could not take over the changes of a tenant',
      );
    }
  }

  /** @returns false where the database does not answer, which is no reason to stop */
  async function hasRevokedKey({ tenant, kids }: TenantProvider): Promise<boolean> {
    const keys = await deps.keys.list(tenant.id).catch(() => []);
    return keys.some(({ kid, status }) => status === 'revoked' && kids.has(kid));
  }

  function poll(): void {
    polling = look().finally(() => {
      polling = undefined;
      if (timer) timer = setTimeout(poll, deps.pollMs).unref();
    });
  }

  return {
    get,
    peek,
    refresh,
    /** Somebody told of a change: what is cached goes at once, the rest follows the versions in the database. */
    changed(tenantId?: string): void {
      forget(tenantId);
      void look();
    },
    start(): void {
      timer = setTimeout(poll, deps.pollMs).unref();
    },
    async stop(): Promise<void> {
      clearTimeout(timer);
      timer = undefined;
      await polling;
    },
  };
}
