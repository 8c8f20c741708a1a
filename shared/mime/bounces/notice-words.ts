/**
 * Words by which servers say that a mail came back or is late, and programs that they answer for a person. From the
 * templates of Postfix, Exim, Sendmail, qmail, Courier, Exchange, Gmail, Yahoo, Domino, GroupWise, Mimecast and
 * others. Each is looked for in a subject or a line, never across lines.
 */
const alternatives = (...words: readonly string[]) => new RegExp(`(?:${words.join('|')})`, 'iu');

const failedSubject = alternatives(
  'undeliver(?:ed|able)',
  '(?:mail|message|e-?mail) delivery (?:failed|failure|problem|error|subsystem|status)',
  'delivery (?:status notification|failure|failed|has failed|problem|error|notification|report|unsuccessful)',
  '^\\[bounced?\\]',
  'returned (?:mail|e-?mail|message|to sender)',
  'mail returned',
  'failure notice',
  'failed (?:delivery|mail|to deliver)',
  'failure (?:delivery|sending)',
  'mail (?:system error|failure|rejected|error|undeliverable)',
  '(?:mail|message|e-?mail) (?:could not|cannot|couldn.t|not) (?:be )?deliver',
  'message (?:undeliverable|blocked|rejected|not delivered|status.{0,5}undeliverable)',
  'message you sent (?:blocked|could not|was not)',
  'your (?:mail|message|e-?mail).{0,200}(?:could not|couldn.t|wasn.t|was not|cannot|not) ',
  '(?:could not|unable to|cannot|can.t) (?:send|deliver)',
  'non[- ]?deliver',
  'not delivered',
  '(?:rejected|bounced?) (?:mail|message|e-?mail)',
  'problem(?:s)? delivering',
  'permanent(?:ly)? (?:delivery )?(?:error|fail)',
  '(?:user|recipient|address) (?:unknown|not found|rejected)',
  'no such (?:user|address)',
  '(?:un|nicht )zustellbar',
  'zustellung.{0,40}(?:fehlgeschlagen|nicht)',
  'fehler bei der zustellung',
  'non remis',
  'non distribu',
  '[eé]chec de (?:la )?(?:remise|distribution|livraison)',
  'non recapitabile',
  'mancat[ao] (?:recapito|consegna)',
  'onbestelbaar',
  'niet (?:te )?bezorg',
  'no (?:se ha podido|se pudo|se puede) entregar',
  'no (?:se )?entreg',
  'error de entrega',
  'devuelto',
  'n[aã]o (?:foi )?(?:entregue|poss[ií]vel entregar)',
  'falha na entrega',
  'недоставлен',
  'не (?:была? )?доставлен',
  'не удалось доставить',
  'nie dostarczon',
  'niedor[eę]cz',
  'nedoru[cč]',
  '(?:配信|送信|配達)でき(?:ません|なかった)',
  '退信',
  '投递失败',
  '无法投递',
  '未送达',
  '未傳遞',
  '配信不能',
  '配信エラー',
  '送信エラー',
  '配達不能',
  '반송',
);

const delayed = alternatives(
  'delay(?:ed)?\\b',
  'still being retried',
  'will (?:be|keep|continue) (?:re)?try',
  'could not send message for (?:the )?past',
  '(?:has|have|was|is) not (?:yet )?been delivered yet',
  'not yet been (?:delivered|sent)',
  'deferred',
  'transient (?:delivery )?fail',
  'temporar(?:y|ily) (?:delivery )?(?:fail|problem|error)',
  'verzögert',
  'retard[eé]',
  'no action is required on your part',
);

const succeeded = alternatives(
  'successful(?:ly)?(?: mail)? deliver',
  'delivered successfully',
  'successful mail delivery report',
  '^(?:delivered|relayed|expanded)(?::| )',
  'notification \\(success\\)',
  'notification \\(relay\\)',
  'was (?:successfully )?(?:delivered|relayed) to',
);

const answers = alternatives(
  '^(?:automatic|auto(?:mated)?)[- ]?(?:reply|replies|response|answer)',
  '^auto ?:',
  '\\bout[- ]of[- ](?:the )?office\\b',
  '\\bout of (?:the )?office\\b',
  '\\bauto-?repl(?:y|ied)\\b',
  '^(?:on |annual |parental |maternity )?(?:vacation|leave|holiday)\\b',
  '\\b(?:away|absent) from (?:the|my) (?:office|desk|mail|e-?mail)',
  '^abwesen(?:d|heit)',
  'automatische? (?:antwort|reactie|beantwoording)',
  'abwesenheits(?:notiz|nachricht|assistent)',
  'r[eé]ponse automatique',
  '^absence (?:du|de) (?:bureau|message)',
  'risposta automatica',
  'fuori (?:sede|ufficio)',
  'respuesta autom[aá]tica',
  'fuera de (?:la )?oficina',
  'resposta autom[aá]tica',
  'automatisch antwoord',
  'afwezig',
  'autosvar',
  'automatiskt svar',
  'odpowied[zź] automatyczna',
  'automatyczna odpowied[zź]',
  'автоматический ответ',
  'автоответ',
  '自动(?:回复|答复)',
  '自動(?:応答|回覆|返信)',
  '不在通知',
  '자동 ?(?:회신|응답)',
);

const failedText = alternatives(
  "(?:could|can|did)(?: ?n[o\u2019']t|not) (?:be )?(?:deliver|reach|find|sen[dt])",
  "(?:was|were|is|are|been)(?:n[\u2019']t| not| un|) ?(?:been )?(?:undeliver|not? deliver|able to deliver|returned)",
  "wasn[\u2019']t delivered",
  'not (?:be )?delivered',
  '(?:unable|failed|attempts?|trying) to (?:be )?(?:deliver|send|reach)',
  'undeliver(?:ed|able)',
  'deliver(?:y|ies)(?: \\S{1,40}){0,8} (?:has |have )?(?:been )?(?:failed|unsuccessful|impossible|aborted)',
  '(?:did not|didn.t) reach (?:some|all|the|one)',
  'permanent(?:ly)? (?:fatal )?(?:error|fail)',
  'fatal errors?',
  '(?:the )?following (?:address|recipient|user)(?:\\(?e?s\\)?)? (?:failed|cannot|could not|was|were|had)',
  'returned to (?:the )?sender',
  '(?:user|recipient|account|mailbox|address|host|domain)(?: \\S{1,80})? (?:is )?(?:unknown|unavailable|disabled|inactive|not found|not listed|rejected|full|over quota|doesn.t exist|does not exist)',
  'no such (?:user|recipient|address|mailbox|person|domain|host)',
  'unknown (?:user|recipient|address|mailbox|local part|account)',
  '(?:was|were|been|is|are) (?:rejected|refused|returned)',
  'delivery (?:errors?|problems?)',
  'failure reasons?',
  '(?:exceeded|too many) (?:the )?(?:maximum )?hop',
  'size limit exceeded',
  '(?:送信|配信|配達)でき(?:ません|なかった)',
  'invalid (?:recipient|mailbox|address)',
  'relay(?:ing)? (?:access )?(?:denied|not (?:allowed|permitted))',
  'message (?:was )?(?:rejected|refused|blocked)',
  'giv(?:e|ing|en) up',
  '(?:nicht|konnte nicht|kann nicht)(?: \\S{1,40}){0,4} (?:zugestellt|zustellen|übermittelt)',
  "n'a pas (?:pu|été)(?: \\S{1,40}){0,4} (?:remis|distribué|livré)",
  'no (?:se )?(?:ha podido|pudo|puede) (?:ser )?entreg',
  'non (?:è stato possibile|può essere|è stato)(?: \\S{1,40}){0,4} (?:consegn|recapit)',
  'не (?:может быть|была?|удалось)(?: \\S{1,40}){0,3} достав',
  '(?<!\\d)[45]\\d\\d[ -]#?[45]\\.\\d{1,3}\\.\\d{1,3}',
  '(?<!\\d)55[0-4](?!\\d)',
);

/** Characters of a subject or line that are looked at. */
const MAX_LOOKED_AT = 500;

const test = (pattern: RegExp) => (text: string) => pattern.test(text.slice(0, MAX_LOOKED_AT));

/** What somebody answers or passes on: not what a server writes. */
const answered = /^\s*(?:re|aw|antw|sv|fwd?|wg|tr|rv|res|enc|vs|odp|回复|转发|답장)\s?(?:\[\d{1,3}\])?\s?[:：]/iu;

/** Whether a subject says that a mail could not be delivered, and is no answer to such a notice. */
export const isFailureSubject = (subject: string) => !isAnswered(subject) && test(failedSubject)(subject);
/** Whether a subject begins with the mark of an answer or of a forwarded mail, such as `Re:`. */
export const isAnswered = test(answered);
/** Whether a subject or line says that a mail is late and still tried. */
export const saysDelayed = test(delayed);
/** Whether a subject or line says that a mail has arrived. */
export const saysDelivered = test(succeeded);
/** Whether a subject is that of an answer a program gives for somebody, such as an absence note. */
export const isAutomaticReply = test(answers);
/** Whether a line says that a mail could not be delivered. */
export const saysFailed = test(failedText);
