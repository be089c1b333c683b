import type { Interaction, KoaContextWithOIDC } from 'oidc-provider';
import type { TenantContext } from './provider-deps.ts';

/** What the engine needs of the screens; interactions/ implements it, app.ts brings the two together. */
export interface OidcScreens {
  /** A person is needed. @returns the path they are sent to */
  start(context: TenantContext, ctx: KoaContextWithOIDC, interaction: Interaction): Promise<string>;
  /** Shows what went wrong where nothing may be sent to the client, or starts a lost sign-in over. */
  error(context: TenantContext, ctx: KoaContextWithOIDC, out: EngineErrorOut, err: Error): Promise<void>;
  /** Asks whether to sign out; submits itself where the app has proved whom it signs out. */
  confirmLogout(context: TenantContext, ctx: KoaContextWithOIDC): Promise<void>;
  signedOut(context: TenantContext, ctx: KoaContextWithOIDC): Promise<void>;
}

/** As in RFC 6749 §4.1.2.1. */
export interface EngineErrorOut {
  error: string;
  error_description?: string | undefined;
}
