--------------------------- MODULE RecConnection ----------------------------
(***************************************************************************)
(* A connection of which one endpoint fails and recovers: a recoverable    *)
(* application, local TCPs, and the middleware; and the same peer and      *)
(* networks as in `Connection`, which it refines.                          *)
(*                                                                         *)
(* Assumes the network of `Network`, and that a failure comes after the    *)
(* handshake (before, there is nothing to recover).                        *)
(* Guarantees `Connection!Spec` of `a` as mapped below, and the invariants *)
(* at the end.                                                             *)
(***************************************************************************)
EXTENDS RecMiddleware, RecApplicationSender, RecApplicationReceiver, Network

CONSTANTS
    OctetsA, OctetsB, ClosesA, ClosesB, Active, Ready, Aborting, Forth, Back,
    Trims,      \* whether the application forgets what the peer has
    Failures,   \* how often the local TCP fails at most
    Losses,     \* how often the middleware is lost at most
    Zombies,    \* whether old local TCPs still send
    Cries       \* whether one that dies may send a FIN or a RST

VARIABLES
    b, ab, ba,  \* the peer and the networks, as in `Connection`
    app,        \* the application
    tcp,        \* the current local TCP
    mw,         \* the middleware
    old,        \* zombies: which local TCP, and where its output began
    past        \* of the local TCPs together: what the peer has seen and said

vars == <<b, ab, ba, app, tcp, mw, old, past>>

StreamA == Stream(10, OctetsA, ClosesA)
StreamB == Stream(20, OctetsB, ClosesB)

Opening(who, stream) ==
    IF who \in Ready
    THEN [Closed(stream) EXCEPT
            !.psh = {p \in Pushes : p <= Len(stream)},
            !.urg = IF Urgents = {} THEN 0 ELSE CHOOSE u \in Urgents : TRUE]
    ELSE Closed(<<>>)

Init ==
    LET a == Opening("a", StreamA)
        said == a.out # <<>> /\ ClosesA
    IN /\ app = [out |-> a.out, psh |-> a.psh, urg |-> a.urg, said |-> said,
                 base |-> 1, trim |-> 0, in |-> <<>>, from |-> 1, end |-> Whole]
       /\ b = Opening("b", StreamB)
       /\ ab = {} /\ ba = {}
       /\ tcp = Fresh(0)
       /\ mw = [Begun EXCEPT !.done = said]
       /\ old = {}
       /\ past = [in |-> <<>>, inpsh |-> {}, inurg |-> 0,
                  una |-> 0, wnd |-> NoWindow, edge |-> 0]

\* The refinement mapping: the local TCPs and the middleware together are
\* one TCP. It has what any of the local TCPs has had, and acknowledges
\* what is persisted. What the peer feeds back is what the middleware knows
\* of it, or would know had it not been lost.
Mapped ==
    [out |-> app.out, psh |-> app.psh, urg |-> app.urg,
     una |-> IF Losses = 0 THEN mw.una ELSE past.una,
     wnd |-> IF Losses = 0 THEN mw.wnd ELSE past.wnd,
     in |-> past.in, inpsh |-> past.inpsh, inurg |-> past.inurg,
     got |-> app.in, ack |-> mw.ckpt, edge |-> past.edge, end |-> app.end]

NotFailing == INSTANCE Connection WITH
    a <- Mapped, Free <- {"a"}, Judged <- TRUE

----------------------------------------------------------------------------
(* The peer.                                                               *)

PeerWrites ==
    /\ b' \in Writes(b, StreamB)
    /\ UNCHANGED <<ab, ba, app, tcp, mw, old, past>>

PeerSends ==
    /\ \E s \in Sendable(b, "b" \in Active) : ba' \in After(ba, s, Back)
    /\ UNCHANGED <<b, ab, app, tcp, mw, old, past>>

PeerReceives ==
    /\ \E s \in ab : b' = Received(b, s)
    /\ UNCHANGED <<ab, ba, app, tcp, mw, old, past>>

PeerAborts ==
    /\ "b" \in Aborting /\ b.end = Whole /\ b.una > 0
    /\ b' = [b EXCEPT !.end = Aborted]
    /\ ba' \in After(ba, Abortion(b), Back)
    /\ UNCHANGED <<ab, app, tcp, mw, old, past>>

PeerAbortsAgain ==
    /\ "b" \in Aborting /\ b.end = Aborted
    /\ \E s \in Again(ab) : ba' \in After(ba, s, Back)
    /\ UNCHANGED <<b, ab, app, tcp, mw, old, past>>

----------------------------------------------------------------------------
(* The application.                                                        *)

\* It announces that it will close before it does.
AppWrites ==
    /\ \E then \in Writes(app, StreamA) :
        LET closes == then.out[Len(then.out)] = Fin
        IN /\ app' = [then EXCEPT !.said = @ \/ closes]
           /\ mw' = [mw EXCEPT !.done = @ \/ closes]
    /\ UNCHANGED <<b, ab, ba, tcp, old, past>>

\* To a local TCP after the first it writes again, and announces again.
AppAnnounces ==
    /\ ~app.said /\ tcp.up /\ mw.phase = Live
    /\ app.out # <<>> /\ app.out[Len(app.out)] = Fin
    /\ app' = [app EXCEPT !.said = TRUE]
    /\ mw' = [mw EXCEPT !.done = TRUE]
    /\ UNCHANGED <<b, ab, ba, tcp, old, past>>

AppReads ==
    /\ tcp.up /\ app.end = Whole
    /\ \E in \in Reads(app, tcp.in) :
        /\ Pieces \/ in = Had(app, tcp.in)
        /\ app' = [app EXCEPT !.in = in]
    /\ UNCHANGED <<b, ab, ba, tcp, mw, old, past>>

\* It tells the middleware how far it is, which tells the peer at once.
AppCheckpoints ==
    /\ mw.ckpt < Len(app.in) /\ app.end = Whole
    /\ mw' = [mw EXCEPT !.ckpt = Len(app.in)]
    /\ IF mw.edge > 0 THEN ab' \in After(ab, Telling(mw'), Forth) ELSE ab' = ab
    /\ UNCHANGED <<b, ba, app, tcp, old, past>>

\* After a failure: from which base is it to write, and where is it itself?
AppRecovers ==
    /\ mw.phase = Failed /\ mw.una > 0 /\ app.end = Whole
    /\ LET base == Base(mw, app.out)
           eof == app.in[Len(app.in)] = Fin
       IN /\ app' = [app EXCEPT
                !.base = IF Is("offset-read-too-early") THEN mw.base ELSE base,
                !.from = Len(app.in) - (IF eof THEN 1 ELSE 0),
                !.said = FALSE]
          /\ mw' = [mw EXCEPT
                !.phase = Recovering, !.base = base, !.ckpt = Len(app.in),
                !.done = Is("done-writing-not-cleared") /\ @]
    /\ tcp' = Fresh(tcp.f)
    /\ UNCHANGED <<b, ab, ba, old, past>>

\* It forgets what the peer has acknowledged, but for the FIN, which takes
\* no memory.
AppTrims ==
    /\ Trims /\ mw.phase = Live /\ app.end = Whole
    /\ LET closed == app.out # <<>> /\ app.out[Len(app.out)] = Fin
           known == Smaller(mw.una, Len(app.out) - (IF closed THEN 1 ELSE 0))
       IN app.trim < known /\ app' = [app EXCEPT !.trim = known]
    /\ UNCHANGED <<b, ab, ba, tcp, mw, old, past>>

AppAborts ==
    /\ "a" \in Aborting /\ app.end = Whole /\ mw.una > 0
    /\ app' = [app EXCEPT !.end = Aborted]
    /\ ab' \in After(ab, Resetting(mw.una), Forth)
    /\ UNCHANGED <<b, ba, tcp, mw, old, past>>

AbortsAgain ==
    /\ "a" \in Aborting /\ app.end = Aborted
    /\ \E s \in Again(ba) : ab' \in After(ab, s, Forth)
    /\ UNCHANGED <<b, ba, app, tcp, mw, old, past>>

----------------------------------------------------------------------------
(* The local TCPs and the middleware.                                      *)

Local ==
    View(tcp, Given(app), GivenPushes(app), GivenUrgent(app), Taken(app))

\* Puts `w` on the way to the peer, if it may go there.
Forward(w) ==
    IF Passes(mw, tcp, w) /\ ~MaskedFrom(mw, w)
    THEN LET s == Outbound(mw, w)
             edge == IF s.acks THEN Window(s).edge ELSE mw.edge
         IN /\ ab' \in After(ab, s, Forth)
            /\ mw' = [mw EXCEPT !.edge = edge]
            /\ past' = [past EXCEPT !.edge = Larger(edge, IF s.acks THEN 0 ELSE @)]
    ELSE UNCHANGED <<ab, mw, past>>

TcpSends ==
    /\ tcp.up /\ app.end = Whole
    /\ \E s \in Sendable(Local, "a" \in Active \/ tcp.f > 0) :
        LET w == OnWire(tcp, s)
            eof == app.in # <<>> /\ app.in[Len(app.in)] = Fin
            begun == mw.ckpt - (IF eof THEN 2 ELSE 1)
            spliced == Splices(mw, w, app.out)
        IN IF AsksRecovery(mw, w)
           THEN /\ mw' = spliced
                /\ tcp' = (IF Is("syn-ack-without-syn") THEN tcp
                           ELSE Connected(tcp,
                                IF Is("syn-ack-sequence") THEN begun + 1 ELSE begun,
                                Offers(spliced),
                                IF eof THEN <<Fin>> ELSE <<>>))
                /\ UNCHANGED <<ab, past>>
           ELSE tcp' = HasSent(tcp, s) /\ Forward(w)
    /\ UNCHANGED <<b, ba, app, old>>

\* A local TCP that dies may close or reset what it had, wherever it was.
TcpCries ==
    /\ Cries /\ tcp.up /\ mw.phase = Live /\ ~app.said /\ app.end = Whole
    /\ \E n \in tcp.una..Len(Local.out), rst \in BOOLEAN :
        Forward(OnWire(tcp, [Outgoing(Local, n, 0) EXCEPT
            !.dat = IF rst THEN <<>> ELSE <<Fin>>, !.rst = rst]))
    /\ UNCHANGED <<b, ba, app, tcp, old>>

TcpFails ==
    /\ tcp.f < Failures /\ mw.phase # New /\ app.in # <<>> /\ app.end = Whole
    /\ tcp' = Gone(tcp.f + 1)
    /\ mw' = [mw EXCEPT !.phase = Failed]
    /\ old' = IF Zombies THEN old \cup {[f |-> tcp.f, base |-> app.base]} ELSE old
    /\ UNCHANGED <<b, ab, ba, app, past>>

\* An old stack sends any part of what it was given.
ZombieSends ==
    /\ mw.phase = Live /\ app.end = Whole
    /\ \E z \in old :
        LET given == <<Syn>> \o Suffix(app.out, z.base)
        IN \E n \in 0..Len(given), k \in 0..Len(given) :
            /\ n + k <= Len(given)
            /\ Forward([Plain(Initial(z.f) + n, Piece(given, n, k)) EXCEPT
                    !.acks = TRUE, !.ack = Len(app.in), !.wnd = Room])
    /\ UNCHANGED <<b, ba, app, tcp, old>>

\* The peer's segments: the middleware learns from each, and passes it on if
\* there is a local TCP that knows of the connection. Otherwise it is held
\* or dropped, which to a network that duplicates and loses is the same.
Receives ==
    /\ app.end = Whole
    /\ \E s \in ba :
        LET then == IF mw.phase \in {New, Live}
                    THEN HasReceived(tcp, Local, Inbound(Learns(mw, s), tcp, s))
                    ELSE tcp
            first == app.in = <<>> /\ then.in # <<>>
            had == Longer(past.in, IF first THEN then.in ELSE Had(app, then.in))
        IN /\ ~s.rst
           /\ tcp' = then
           /\ app' = IF first THEN [app EXCEPT !.in = Prefix(then.in, 1)] ELSE app
           /\ mw' = IF first
                    THEN [Learns(mw, s) EXCEPT !.ckpt = 1, !.edge = 1 + Room]
                    ELSE Learns(mw, s)
           /\ past' = [past EXCEPT
                   !.una = Acked(past, s), !.wnd = Windowed(past, s), !.in = had,
                   !.inpsh = Pushed(past, s, had), !.inurg = Urged(past, s),
                   !.edge = IF first THEN 1 + Room ELSE @]
    /\ UNCHANGED <<b, ab, ba, old>>

\* A RST with exactly the number that comes next ends it, local TCP or not:
\* the application is told.
ReceivesReset ==
    /\ app.end = Whole
    /\ \E s \in ba : s.rst /\ s.seq = Len(past.in)
    /\ app' = [app EXCEPT !.end = Reset]
    /\ UNCHANGED <<b, ab, ba, tcp, mw, old, past>>

\* While there is no local TCP the middleware answers in its name.
Answers ==
    /\ mw.phase \in {Failed, Recovering} /\ mw.edge > 0 /\ app.end = Whole
    /\ ab' \in After(ab, Telling(mw), Forth)
    /\ UNCHANGED <<b, ba, app, tcp, mw, old, past>>

MiddlewareIsLost ==
    /\ mw.lost < Losses /\ mw.phase # New /\ app.in # <<>> /\ app.end = Whole
    /\ mw' = Forgets(mw, Len(app.in), app.trim)
    /\ tcp' = IF mw.phase = Recovering THEN Gone(tcp.f) ELSE tcp
    /\ UNCHANGED <<b, ab, ba, app, old, past>>

Next ==
    \/ PeerWrites \/ PeerSends \/ PeerReceives \/ PeerAborts \/ PeerAbortsAgain
    \/ AppWrites \/ AppAnnounces \/ AppReads \/ AppCheckpoints
    \/ AppRecovers \/ AppTrims \/ AppAborts \/ AbortsAgain
    \/ TcpSends \/ TcpCries \/ TcpFails \/ ZombieSends
    \/ Receives \/ ReceivesReset \/ Answers \/ MiddlewareIsLost

Spec == Init /\ [][Next]_vars

\* Recovering is as good as not failing.
Refines == NotFailing!Spec

----------------------------------------------------------------------------
(* What it guarantees besides.                                             *)

\* What is delivered to an application is a prefix of what the other wrote.
Delivered == IsPrefix(b.in, app.out) /\ IsPrefix(app.in, b.out)

\* The peer is told of nothing that is not persisted.
OnlyPersisted == \A s \in ab : s.acks => s.ack <= Len(app.in)

\* The peer sees no SYN, FIN or RST that the application did not mean.
OnlyMeant ==
    \A s \in ab :
        /\ Has(s, Syn) => s.seq = 0
        /\ Has(s, Fin) => app.out = StreamA /\ End(s) = Len(app.out)
        /\ s.rst => app.end = Aborted

\* A local TCP is told only of what it has sent.
OnlySent ==
    tcp.up /\ mw.phase = Live =>
        \A s \in ba : s.acks => Inbound(mw, tcp, s).ack <= Initial(tcp.f) + tcp.nxt

\* The application is asked to write again only what it still has.
OnlyKept == mw.phase = Recovering => app.trim <= app.base

\* The peer is promised only what there is room for.
OnlyRoom == past.edge <= Len(app.in) + Room

Separable == \A s \in ab \cup ba : Reversible(s)

\* Not invariants: what has to be seen to be reached. After all failures the
\* last local TCP has carried both streams from the handshake to the end.
NotFinished ==
    ~(/\ tcp.f = Failures /\ mw.lost = Losses
      /\ app.base = 1 /\ app.from = 1 /\ tcp.una = Len(Given(app))
      /\ b.got = StreamA /\ mw.una = Len(StreamA)
      /\ app.in = StreamB /\ b.una = Len(StreamB))
NotReset == app.end # Reset /\ b.end # Reset
=============================================================================
