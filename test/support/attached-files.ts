/** The attachments in the text of a mail of one multipart, by their names, decoded. Shares no code with the product. */
export function attachedFiles(mail: Buffer): ReadonlyMap<string, Buffer> {
  const files = new Map<string, Buffer>();
  for (const part of mail.toString('latin1').split(/\r\n--=_[^\r\n]*\r\n/)) {
    const end = part.indexOf('\r\n\r\n');
    const name = /^Content-Disposition: attachment; filename="?([^"\r\n;]+)/im.exec(part.slice(0, end))?.[1];
    if (name !== undefined) files.set(name, Buffer.from(part.slice(end + 4), 'base64'));
  }
  return files;
}
