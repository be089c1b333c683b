import type { Db } from '../db/database.ts';
import type { KeyRing } from '../lib/key-ring.ts';
import type { Logger } from '../lib/logger.ts';
import type { Sealer } from '../lib/sealer.ts';
import type { Tenant } from '../tenants/tenant.ts';
import type { ClientLimits } from './client-limits.ts';
import type { PublicJwk } from '../keys/signing-key.ts';
import type { DocumentAnswers } from './document-answers.ts';
import type { OidcScreens } from './oidc-screens.ts';
import type { TenantDirectory } from './tenant-directory.ts';

/** What every provider needs, whatever its tenant. */
export interface ProviderDeps {
  db: Db;
  sealer: Sealer;
  keyRing: KeyRing;
  log: Logger;
  publicUrl: string;
  screens: OidcScreens;
  /** SSRF-safe. */
  fetch: typeof globalThis.fetch;
  settings: ProtocolSettings;
  clientLimits: ClientLimits;
  /** Which languages the screens speak. */
  locales: readonly string[];
}

export interface ProtocolSettings {
  accessTokenTtlSeconds: number;
  refreshIdleSeconds: number;
  refreshAbsoluteSeconds: number;
  refreshGraceSeconds: number;
  sessionIdleSeconds: number;
  jwksMaxAgeSeconds: number;
  /** Undefined where no mail can be sent, and so nobody can sign up. */
  mail: object | undefined;
}

/** What the configuration slices of one tenant's provider build on. */
export interface TenantContext extends ProviderDeps {
  tenant: Tenant;
  issuer: string;
  mountPath: string;
  directory: TenantDirectory;
  documents: DocumentAnswers;
  /** The keys as they are now, which can be newer than the provider's. */
  publishedKeys: () => Promise<PublicJwk[]>;
}
