import type { Adapter, AdapterPayload } from 'oidc-provider';
import type { Db } from '../../db/database.ts';
import type { KeyRing } from '../../lib/key-ring.ts';
import type { Sealer } from '../../lib/sealer.ts';
import { familyAdapter } from './family-adapter.ts';
import { grantAdapter } from './grant-adapter.ts';
import { interactionAdapter } from './interaction-adapter.ts';
import { sessionAdapter } from './session-adapter.ts';
import { simpleAdapter } from './simple-adapter.ts';
import { guarded } from './store-errors.ts';
import type { ModelPayload } from './stored-model.ts';

/**
 * The engine's storage on Postgres: correct when many requests, processes and replicas meet on the same
 * code, token, grant, session or interaction. The rules are in docs/adr/0003; `model-store.ts` has the
 * statements, the files beside this one say per kind of model which one runs when.
 */
export interface AdapterDeps {
  db: Db;
  tenantId: string;
  sealer: Sealer;
  keyRing: KeyRing;
  refreshGraceSeconds: number;
  refreshAbsoluteSeconds: number;
  sessionIdleSeconds: number;
  sessionAbsoluteSeconds: number;
}

/** What a kind of model does; everything is refused that it does not list. */
export interface ModelAdapter {
  find(id: string): Promise<ModelPayload | undefined>;
  save?(id: string, payload: ModelPayload, expiresInSeconds: number): Promise<void>;
  findByUid?(uid: string): Promise<ModelPayload | undefined>;
  consume?(id: string): Promise<void>;
  destroy?(id: string): Promise<void>;
}

export function createAdapterFactory(deps: AdapterDeps): (name: string) => Adapter {
  return (name) => toEngineAdapter(name, adapterOf(name, deps));
}

function adapterOf(name: string, deps: AdapterDeps): ModelAdapter {
  switch (name) {
    case 'AuthorizationCode':
    case 'RefreshToken':
    case 'AccessToken':
      return familyAdapter(name, deps);
    case 'Grant':
      return grantAdapter(deps);
    case 'Session':
      return sessionAdapter(deps);
    case 'Interaction':
      return interactionAdapter(deps);
    case 'ClientCredentials':
    case 'PushedAuthorizationRequest':
      return simpleAdapter(name, deps);
    default:
      // Clients and replay ids have stores of their own; a model nobody planned for must not be lost silently.
      return { find: () => Promise.reject(new TypeError(`${name} is not kept in the model store`)) };
  }
}

function toEngineAdapter(name: string, adapter: ModelAdapter): Adapter {
  const refuse = (operation: string) => Promise.reject(new TypeError(`${name} has no ${operation}`));

  return {
    find: (id) => guarded(() => adapter.find(id)) as Promise<AdapterPayload | undefined>,
    findByUid: (uid) =>
      guarded(() => adapter.findByUid?.(uid) ?? refuse('findByUid')) as Promise<AdapterPayload | undefined>,
    findByUserCode: () => refuse('findByUserCode'),
    upsert: (id, payload, expiresIn) =>
      guarded(() =>
        expiresIn === undefined
          ? refuse('life without end')
          : (adapter.save?.(id, payload as ModelPayload, expiresIn) ?? refuse('upsert')),
      ),
    consume: (id) => guarded(() => adapter.consume?.(id) ?? refuse('consume')),
    destroy: (id) => guarded(() => adapter.destroy?.(id) ?? refuse('destroy')),
    // The grant is the family: a token without a live grant is dead, so its tokens need no update of
    // their own. The engine destroys the grant right after, where the family is meant to end; where it
    // does not (one access token revoked by itself), the rest of the family must live on.
    revokeByGrantId: () => Promise.resolve(),
  };
}
