import { IntlMessageFormat } from 'intl-messageformat';

/** What of a message must be the same in every language, sorted, and the forms its plurals have. */
export interface MessageShape {
  arguments: string[];
  tags: string[];
  /** Of `select`: the argument and its values, such as `kind=a|b|other`. */
  choices: string[];
  /** Of each `plural`. */
  plurals: string[][];
}

type Element = ReturnType<IntlMessageFormat['getAst']>[number];

/** @throws {SyntaxError} when the text is no ICU message */
export function argumentsOf(text: string): MessageShape {
  const names = new Set<string>();
  const tags = new Set<string>();
  const choices = new Set<string>();
  const plurals: string[][] = [];

  function visit(elements: readonly Element[]): void {
    for (const element of elements) {
      // Literals, and the `#` of a plural, name nothing.
      if (!('value' in element) || element.type === 0) continue;
      if ('children' in element) {
        tags.add(element.value);
        visit(element.children);
        continue;
      }
      names.add(element.value);
      if (!('options' in element)) continue;
      const forms = Object.keys(element.options);
      if ('pluralType' in element) plurals.push(forms);
      else choices.add(`${element.value}=${forms.toSorted().join('|')}`);
      for (const { value } of Object.values(element.options)) visit(value);
    }
  }

  visit(new IntlMessageFormat(text, 'en').getAst());
  return {
    arguments: [...names].sort(),
    tags: [...tags].sort(),
    choices: [...choices].sort(),
    plurals,
  };
}
