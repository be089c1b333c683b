/**
 * The addresses a user can have: one `@`, no quoting, nothing invisible, nothing that some program along the way could
 * read as another address or another header (security.md's classes: SMTP injection, account linking).
 */

/** RFC 5321 §4.5.3.1, in octets; the whole address also has to fit a path with its two angle brackets. */
const MAX_BYTES = 254;
const MAX_LOCAL_BYTES = 64;
const MAX_LABEL_BYTES = 63;

// RFC 5321 dot-string with the letters RFC 6531 adds. Neither quotes nor comments.
const LOCAL_PART = /^[\p{L}\p{M}\p{N}!#$%&'*+/=?^_`{|}~-]+(\.[\p{L}\p{M}\p{N}!#$%&'*+/=?^_`{|}~-]+)*$/u;
const LABEL = /^[\p{L}\p{N}]([\p{L}\p{M}\p{N}-]*[\p{L}\p{M}\p{N}])?$/u;
// Letters and marks that draw nothing: two addresses that differ by one look the same.
const INVISIBLE = /\p{Default_Ignorable_Code_Point}/u;

/**
 * @returns the address trimmed and in NFC, in the case it was typed in; undefined when it is not one
 */
export function parseEmail(text: string): string | undefined {
  // Before any work on it: a person's address is never this long, not even decomposed and with blanks around it.
  if (text.length > 4 * MAX_BYTES || !text.isWellFormed()) return undefined;
  const address = text.trim().normalize('NFC');
  // Compatibility forms (fullwidth letters, `＠`, `．`) turn into other characters where a program normalises them.
  if (address !== address.normalize('NFKC')) return undefined;

  const [localPart = '', domain = '', ...more] = address.split('@');
  const isOne =
    more.length === 0 &&
    !INVISIBLE.test(address) &&
    bytes(address) <= MAX_BYTES &&
    bytes(localPart) <= MAX_LOCAL_BYTES &&
    LOCAL_PART.test(localPart) &&
    domain.split('.').every((label) => LABEL.test(label) && bytes(label) <= MAX_LABEL_BYTES);
  return isOne ? address : undefined;
}

function bytes(text: string): number {
  return Buffer.byteLength(text, 'utf8');
}
