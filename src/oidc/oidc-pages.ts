import type { KoaContextWithOIDC } from 'oidc-provider';

/** The pages the engine asks for outside an interaction; the screens themselves belong to interactions/. */
export interface OidcPages {
  /** @param reference also in the log */
  error(
    ctx: KoaContextWithOIDC,
    out: { error: string; error_description?: string | undefined },
    err: Error,
  ): Promise<void>;
  /** Asks whether to sign out, or submits itself when the app proved whom it signs out. */
  confirmLogout(
    ctx: KoaContextWithOIDC,
    form: { action: string; xsrf: string; confirmed: boolean },
  ): Promise<void>;
  signedOut(ctx: KoaContextWithOIDC): Promise<void>;
}
