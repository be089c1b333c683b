import { isPermission } from '../access/permissions.ts';
import type { Translator } from '../i18n/translations.ts';

/** Scopes and claims in the words of the people who grant them. */

export interface ConsentScope {
  /** As in the request. */
  name: string;
  /** A single claim, asked for by the `claims` parameter (OpenID Connect Core §5.5). */
  isClaim?: boolean;
  /** From the resource's registration; `null` for the standard scopes and where there is none. */
  description: string | null;
  /** Not granted to this app before. */
  isNew: boolean;
}

export interface ConsentGroup {
  /**
   * The API the scopes belong to, or that of this server, which has a name in every language; `null` for the account
   * itself (`openid`, `profile`, …).
   */
  resource: { name: string } | 'own_api' | null;
  scopes: readonly ConsentScope[];
}

export interface ConsentSection {
  kind: 'read' | 'change' | 'keep';
  items: { text: string; isNew: boolean }[];
}

const KINDS = ['read', 'change', 'keep'] as const;

/** OpenID Connect Core §5.4 and §11. */
const STANDARD: Readonly<Record<string, ConsentSection['kind']>> = {
  openid: 'read',
  profile: 'read',
  email: 'read',
  address: 'read',
  phone: 'read',
  offline_access: 'keep',
};

/** Only what surely changes nothing is called reading. */
const READING = /(^|[:._/-])(read|readonly|view|list|get|search)($|[:._/-])/i;

/** @returns `sections` are those that have something in them: what may be read, what may be changed, what lasts */
export function describeGroup(
  { resource, scopes }: ConsentGroup,
  translator: Translator,
): { title: string; sections: ConsentSection[] } {
  const title =
    resource === null
      ? translator.t('interactions.consent.your_account')
      : resource === 'own_api'
        ? translator.t('interactions.consent.own_api')
        : resource.name;
  const isOwnApi = resource === 'own_api';
  return { title, sections: sectionsOf(scopes, translator, isOwnApi) };
}

function sectionsOf(
  scopes: readonly ConsentScope[],
  translator: Translator,
  isOwnApi: boolean,
): ConsentSection[] {
  const items = scopes.map((scope) => ({ ...describe(scope, translator, isOwnApi), isNew: scope.isNew }));
  return KINDS.map((kind) => ({
    kind,
    items: items.filter((item) => item.kind === kind).map(({ text, isNew }) => ({ text, isNew })),
  })).filter((section) => section.items.length > 0);
}

function describe(
  { name, description, isClaim }: ConsentScope,
  translator: Translator,
  isOwnApi: boolean,
): { kind: ConsentSection['kind']; text: string } {
  if (isClaim) return { kind: 'read', text: describeClaim(name, translator) };
  if (isOwnApi && isPermission(name)) {
    const text = translator.t(`interactions.permission.${name.replace(':', '_')}`);
    return { kind: READING.test(name) ? 'read' : 'change', text };
  }
  const standard = Object.hasOwn(STANDARD, name) ? STANDARD[name] : undefined;
  if (standard && description === null)
    return { kind: standard, text: translator.t(`interactions.scope.${name}`) };
  return { kind: standard ?? (READING.test(name) ? 'read' : 'change'), text: description || name };
}

function describeClaim(name: string, { t, has }: Translator): string {
  const key = `interactions.claim.${name}`;
  return has(key) ? t(key) : t('interactions.other_claim', { claim: name.replaceAll('_', ' ') });
}
