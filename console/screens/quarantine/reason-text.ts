/** Why a mail could not be checked in, without the name that the error has in the program. */
export const reasonText = (reason: string): string => reason.replace(/^[A-Z][A-Za-z]*Error: (?=.)/, '');
