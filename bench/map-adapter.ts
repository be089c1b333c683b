import type { Adapter, AdapterPayload } from 'oidc-provider';

/**
 * The least a store can cost: a Map without limit, expiry only when read. The library's own in-memory
 * adapter holds 1,000 entries in all, so under load its sessions and refresh chains vanish.
 */
export function createMapAdapters(): (model: string) => Adapter {
  const entries = new Map<string, { payload: AdapterPayload; expiresAt: number }>();
  const sessionKeys = new Map<string, string>();
  const keysByGrant = new Map<string, Set<string>>();

  function live(key: string): AdapterPayload | undefined {
    const entry = entries.get(key);
    return entry && entry.expiresAt > Date.now() ? entry.payload : undefined;
  }

  return (model) => ({
    async upsert(id, payload, expiresIn) {
      const key = `${model}:${id}`;
      entries.set(key, { payload, expiresAt: expiresIn ? Date.now() + expiresIn * 1000 : Infinity });
      if (model === 'Session' && payload.uid) sessionKeys.set(payload.uid, key);
      if (model === 'Grant' || payload.grantId === undefined) return;
      const keys = keysByGrant.get(payload.grantId);
      if (keys) keys.add(key);
      else keysByGrant.set(payload.grantId, new Set([key]));
    },
    find: async (id) => live(`${model}:${id}`),
    findByUid: async (uid) => live(sessionKeys.get(uid) ?? ''),
    findByUserCode: async () => undefined,
    async consume(id) {
      const payload = live(`${model}:${id}`);
      if (payload) payload.consumed = Math.floor(Date.now() / 1000);
    },
    async destroy(id) {
      entries.delete(`${model}:${id}`);
    },
    async revokeByGrantId(grantId) {
      for (const key of keysByGrant.get(grantId) ?? []) entries.delete(key);
      keysByGrant.delete(grantId);
    },
  });
}
