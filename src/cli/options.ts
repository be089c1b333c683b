import { InvalidArgumentError, Option } from 'commander';

/** Options that several commands share, and parsers that say what they expect. */

interface GlobalOptions {
  json?: boolean;
}

interface TenantOptions extends GlobalOptions {
  tenant: string;
}

export interface PageOptions extends TenantOptions {
  limit: number;
  after?: string;
}

export function tenantOption(): Option {
  return new Option('--tenant <slug>', 'the tenant').default('default');
}

export function limitOption(): Option {
  return new Option('--limit <number>', 'most entries to list').default(100).argParser(integer(1, 200));
}

export function afterOption(): Option {
  return new Option('--after <id>', 'go on after the entry with this id (`next` of the page before)');
}

/** For an option that may be given several times. */
export function collect(value: string, previous: readonly string[] | undefined): string[] {
  return [...(previous ?? []), value];
}

export function integer(min: number, max: number) {
  return (text: string): number => {
    const number = Number(text);
    if (/^\d+$/.test(text) && number >= min && number <= max) return number;
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
  };
}

/** A number, or the word `default` for what the server would do without one. */
export function integerOrDefault(min: number, max: number) {
  return (text: string): number | 'default' => (text === 'default' ? text : integer(min, max)(text));
}
