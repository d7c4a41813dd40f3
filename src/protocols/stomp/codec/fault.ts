/** Why a peer's connection must end, in words for it. `message`: the header of ERROR; `details`: its body. */
export class StompFault {
  readonly message: string;
  readonly details: string;

  constructor(message: string, details = '') {
    this.message = message;
    this.details = details;
  }
}
