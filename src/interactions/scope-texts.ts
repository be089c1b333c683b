/** Scopes in the words of the people who grant them. */

export interface ConsentScope {
  /** As in the request. */
  name: string;
  /** From the resource's registration; `null` for the standard scopes and where there is none. */
  description: string | null;
  /** Not granted to this app before. */
  isNew: boolean;
}

export interface ConsentGroup {
  /** The API the scopes belong to; `null` for the account itself (`openid`, `profile`, …). */
  resource: { name: string } | null;
  scopes: readonly ConsentScope[];
}

export interface ConsentSection {
  kind: 'read' | 'change' | 'keep';
  items: { text: string; isNew: boolean }[];
}

const KINDS = ['read', 'change', 'keep'] as const;

/** OpenID Connect Core §5.4 and §11. */
const STANDARD: Readonly<Record<string, { kind: ConsentSection['kind']; text: string }>> = {
  openid: { kind: 'read', text: 'Your account ID, to recognize you' },
  profile: { kind: 'read', text: 'Your name and profile details' },
  email: { kind: 'read', text: 'Your email address' },
  address: { kind: 'read', text: 'Your postal address' },
  phone: { kind: 'read', text: 'Your phone number' },
  offline_access: { kind: 'keep', text: 'Keep this access when you are not using the app' },
};

/** Only what surely changes nothing is called reading. */
const READING = /(^|[:._/-])(read|readonly|view|list|get|search)($|[:._/-])/i;

/** @returns the sections that have something in them: what may be read, what may be changed, what lasts */
export function describeScopes(scopes: readonly ConsentScope[]): ConsentSection[] {
  const items = scopes.map((scope) => ({ ...describe(scope), isNew: scope.isNew }));
  return KINDS.map((kind) => ({
    kind,
    items: items.filter((item) => item.kind === kind).map(({ text, isNew }) => ({ text, isNew })),
  })).filter((section) => section.items.length > 0);
}

function describe({ name, description }: ConsentScope): { kind: ConsentSection['kind']; text: string } {
  const standard = Object.hasOwn(STANDARD, name) ? STANDARD[name] : undefined;
  if (standard && description === null) return standard;
  return { kind: standard?.kind ?? (READING.test(name) ? 'read' : 'change'), text: description || name };
}
