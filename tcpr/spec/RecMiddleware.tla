--------------------------- MODULE RecMiddleware ----------------------------
(***************************************************************************)
(* The middleware between the current local TCP and the network. Hard      *)
(* state, which the application can restore: `ckpt`, how much of the input *)
(* is persisted; `delta`, by which the local TCP's numbers are ahead;      *)
(* `base`, where its output begins; `done`, whether a FIN is announced.    *)
(* Soft state, which the wire tells again: `una` and `wnd`, the peer's     *)
(* feedback, and `edge`, the right edge last told to the peer. Of `una`    *)
(* the application knows as much as it has forgotten because of it.        *)
(*                                                                         *)
(* Assumes that the application persists what it says it has.              *)
(* Guarantees to the peer that it sees one TCP that goes on, and to each   *)
(* local TCP that it sees one peer that begins with it.                    *)
(*                                                                         *)
(* `Fault` makes it wrong in one place: each has to be rejected.           *)
(***************************************************************************)
EXTENDS Replicas

CONSTANT Fault

Is(fault) == Fault = fault

\* Phases: nothing of our output is acknowledged yet; there is a local TCP
\* which goes on with the connection; there is none; or one is awaited.
New == "new"
Live == "live"
Failed == "failed"
Recovering == "recovering"

Begun ==
    [phase |-> New, ckpt |-> 0, delta |-> 0, base |-> 1, done |-> FALSE,
     una |-> 0, wnd |-> NoWindow, edge |-> 0, lost |-> 0]

\* What is known of the peer after `s`. A late old acknowledgment moves
\* nothing back.
Learns(mw, s) ==
    LET una == IF Is("acknowledged-moved-back") /\ s.acks THEN s.ack ELSE Acked(mw, s)
    IN [mw EXCEPT
        !.una = una,
        !.wnd = IF Is("window-order") /\ s.acks /\ ~IsLater(mw.wnd, Window(s))
                THEN Window(s) ELSE Windowed(mw, s),
        !.phase = IF @ = New /\ una > 0 THEN Live ELSE @]

----------------------------------------------------------------------------
(* From the local TCP to the peer.                                         *)

\* Acknowledged is what is persisted, and what lies between is given back as
\* window: the edge stays where the local TCP has it.
Acknowledging(mw, w) ==
    CASE Is("acknowledgment-not-delayed") -> w.ack
      [] Is("acknowledgment-plus-one") -> Smaller(w.ack, mw.ckpt) + 1
      [] OTHER -> Smaller(w.ack, mw.ckpt)

Outbound(mw, w) ==
    LET ack == Acknowledging(mw, w)
        back == CASE Is("window-not-given-back") -> 0
                  [] Is("window-inflated") -> w.ack - ack + 1
                  [] OTHER -> w.ack - ack
    IN IF w.acks
       THEN [w EXCEPT !.seq = @ - mw.delta, !.ack = ack, !.wnd = @ + back]
       ELSE [w EXCEPT !.seq = @ - mw.delta]

\* The fence: whether it can be the current local TCP's. One of a zombie has
\* other numbers.
Passes(mw, tcp, w) ==
    LET n == w.seq - mw.delta
        sent == Initial(tcp.f) + tcp.nxt - mw.delta
    IN Is("fence-missing") \/
       /\ n + 1 >= mw.base
       /\ n + Len(w.dat) <= Larger(mw.wnd.edge, sent) + 2

\* A SYN asks for a recovery once ours was acknowledged; before, it is the
\* connection's own. Not once the peer's was received: that would swallow
\* the SYN-ACK of a passive open.
AsksRecovery(mw, w) ==
    /\ Has(w, Syn)
    /\ IF Is("guard-on-receive-acknowledgment") THEN mw.ckpt > 0 ELSE mw.phase # New
    /\ ~Is("syn-forwarded")

\* A FIN is meant if it is announced for this local TCP. A RST never is: it
\* is the middleware that resets the peer when the application aborts.
MaskedFrom(mw, w) ==
    CASE w.rst -> ~Is("rst-forwarded")
      [] Has(w, Fin) -> ~mw.done /\ ~Is("fin-forwarded")
      [] OTHER -> FALSE

\* The middleware's own acknowledgment.
Telling(mw) ==
    [Plain(mw.una, <<>>) EXCEPT
        !.acks = ~Is("acknowledgment-flag-not-set"), !.ack = mw.ckpt,
        !.wnd = mw.edge - mw.ckpt]

----------------------------------------------------------------------------
(* From the peer to the local TCP.                                         *)

\* A local TCP is told no more than it has sent and no less than it began
\* with. What that takes from the acknowledgment it does not add to the
\* window.
Inbound(mw, tcp, s) ==
    LET most == Initial(tcp.f) + tcp.nxt - mw.delta
        told == IF Is("acknowledgment-not-clamped") THEN s.ack
                ELSE Larger(Smaller(s.ack, most), mw.base)
        delta == IF Is("delta-missing-inbound") THEN 0 ELSE mw.delta
        less == Larger(told - s.ack, 0)
    IN IF s.acks
       THEN [s EXCEPT !.ack = told + delta, !.wnd = Larger(@ - less, 0)]
       ELSE s

----------------------------------------------------------------------------
(* Recovery.                                                               *)

\* Where the application is told to begin: at what the peer acknowledges,
\* or at the FIN if that is acknowledged too.
Base(mw, out) ==
    IF mw.una = Len(out) /\ out[Len(out)] = Fin /\ ~Is("fin-spliced-behind")
    THEN mw.una - 1
    ELSE mw.una

\* The SYN `w` is answered: from here on the local TCP's numbers are ahead
\* by delta.
Splices(mw, w, out) ==
    LET base == IF Is("offset-read-too-late") \/ Is("offset-read-too-early")
                THEN Base(mw, out) ELSE mw.base
        delta == w.seq + 1 - base
    IN [mw EXCEPT
        !.phase = Live,
        !.base = base,
        !.delta = CASE Is("delta-plus-one") -> delta + 1
                    [] Is("delta-minus-one") -> delta - 1
                    [] Is("delta-stale") -> @
                    [] Is("shift-by-one-less") -> w.seq + 1 - (base - 1)
                    [] OTHER -> delta]

\* What the SYN-ACK offers: what lies between the base and the peer's edge.
Offers(mw) ==
    IF Is("recovery-window-absolute") THEN mw.wnd.edge
    ELSE Larger(mw.wnd.edge - mw.base, 0)

\* The middleware is lost and comes back with the hard state only.
Forgets(mw, ckpt, una) ==
    [mw EXCEPT !.una = una, !.wnd = NoWindow, !.edge = 0, !.ckpt = ckpt,
               !.lost = @ + 1, !.phase = IF @ = Recovering THEN Failed ELSE @]
=============================================================================
