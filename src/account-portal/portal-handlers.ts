import { z } from 'zod';
import { parseForm } from '../http/body.ts';
import type { Csrf } from '../http/csrf.ts';
import { seeOther } from '../http/see-other.ts';
import type { TenantRequestContext } from '../oidc/tenant-state.ts';
import { bindingOf, loadPortal, signInPath } from './portal.ts';
import type { Portal } from './portal.ts';

/** What every page and every form of the portal goes through. */
export interface PortalDoors {
  /** Shows a page to who is signed in. */
  page: (handler: PageHandler, needs?: Needs) => Handler;
  /** Takes a form of ours from who is signed in. */
  form: <Shape extends z.ZodRawShape>(
    options: Needs & {
      fields: Shape;
      /** The page of the form, to go on with after signing in; below `/account`. */
      page: string;
    },
    handler: FormHandler<Shape>,
  ) => Handler;
}

interface Needs {
  /** Something sensitive: the proof of identity must be a few minutes old at most. */
  isSensitive?: boolean;
}

type Handler = (ctx: TenantRequestContext) => Promise<void>;
type PageHandler = (ctx: TenantRequestContext, portal: Portal) => Promise<void> | void;
type FormHandler<Shape extends z.ZodRawShape> = (
  ctx: TenantRequestContext,
  portal: Portal,
  fields: z.output<z.ZodObject<Shape>>,
) => Promise<void>;

export function portalDoors({ csrf }: { csrf: Csrf }): PortalDoors {
  /** @returns undefined when the person was sent to sign in first */
  async function enter(
    ctx: TenantRequestContext,
    returnPath: (basePath: string) => string,
    { isSensitive = false }: Needs,
  ): Promise<Portal | undefined> {
    const portal = await loadPortal(ctx, csrf);
    if (portal && (portal.isFresh || !isSensitive)) return portal;
    const basePath = `${ctx.state.tenantProvider.context.mountPath}/account`;
    seeOther(ctx, signInPath(ctx, { returnPath: returnPath(basePath), isStepUp: portal !== undefined }));
    return undefined;
  }

  return {
    page:
      (handler, needs = {}) =>
      async (ctx) => {
        const portal = await enter(
          ctx,
          () => `${ctx.state.tenantProvider.context.mountPath}${ctx.url}`,
          needs,
        );
        if (portal) await handler(ctx, portal);
      },

    form(options, handler) {
      const schema = z.object({ csrf: z.string().default(''), ...options.fields });
      return async (ctx) => {
        const portal = await enter(ctx, (basePath) => `${basePath}${options.page}`, options);
        if (!portal) return;
        // What zod cannot say of a shape it does not know.
        const { csrf: token, ...fields } = (await parseForm(ctx, schema)) as { csrf: string };
        csrf.check(ctx, bindingOf(portal.sessionUid), token);
        await handler(ctx, portal, fields as never);
      };
    },
  };
}
