/** Commands longer than this are none (RFC 1896: 60 characters). */
const MAX_COMMAND = 62;

/**
 * Text of text/enriched (RFC 1896) and of text/richtext (RFC 1341), which it replaced, without its commands, chunk by
 * chunk: `<bold>` and the like go, `<param>` with what is in it, `<<` is `<`. A single line end is a blank, of several
 * one goes. Takes text with LF or CRLF line ends, gives text with LF.
 */
export class EnrichedText {
  /** The command under way, without its brackets. */
  #command: string | undefined;
  /** How many `<param>` are open: what they hold is no text. */
  #parameters = 0;
  /** How many `<nofill>` are open: their line ends stay. */
  #unfilled = 0;
  /** Line ends since the last text. */
  #lineEnds = 0;

  write(text: string): string {
    let result = '';
    for (const character of text) {
      if (this.#command !== undefined) result += this.#inCommand(this.#command, character);
      else if (character === '<') this.#command = '';
      else if (character === '\n' && this.#unfilled === 0) result += this.#lineEnd();
      else if (character !== '\r') result += this.#shown(character);
    }
    return result;
  }

  end(): string {
    const rest = this.#command === undefined ? '' : this.#shown(`<${this.#command}`);
    this.#command = undefined;
    return rest + (this.#lineEnds === 1 ? '\n' : '');
  }

  #inCommand(command: string, character: string): string {
    if (character === '<' && command === '') {
      this.#command = undefined;
      return this.#shown('<');
    }
    if (character !== '>' && command.length < MAX_COMMAND) {
      this.#command = command + character;
      return '';
    }
    this.#command = undefined;
    return character === '>' ? this.#carryOut(command.toLowerCase()) : this.#shown(`<${command}${character}`);
  }

  #carryOut(command: string): string {
    if (command === 'param') this.#parameters += 1;
    else if (command === '/param') this.#parameters = Math.max(0, this.#parameters - 1);
    else if (command === 'nofill') this.#unfilled += 1;
    else if (command === '/nofill') this.#unfilled = Math.max(0, this.#unfilled - 1);
    else if (command === 'nl') return this.#shown('\n');
    else if (command === 'lt') return this.#shown('<');
    return '';
  }

  /** The first of several may be a blank: the text behind it says. */
  #lineEnd(): string {
    if (this.#parameters > 0) return '';
    this.#lineEnds += 1;
    return this.#lineEnds > 1 ? '\n' : '';
  }

  #shown(text: string): string {
    if (this.#parameters > 0) return '';
    const blank = this.#lineEnds === 1 ? ' ' : '';
    this.#lineEnds = 0;
    return blank + text;
  }
}
