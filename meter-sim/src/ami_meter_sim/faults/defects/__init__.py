"""Defects: faults by which a meter breaks a standard in exactly one thing, as conformance tests look for them.

`DEFECTS` has their code by name, `table` what is known of each for people.
"""

from collections.abc import Mapping

from ami_meter_sim.faults.defects import blocks, hdlc, opening, rights, security, selection, services, values, wrapper
from ami_meter_sim.faults.fault import Fault

DEFECTS: Mapping[str, type[Fault]] = {
    "takes-wrong-checks": hdlc.TakesWrongChecks,
    "ignores-proposed-length": hdlc.IgnoresProposedLength,
    "answers-without-link": hdlc.AnswersWithoutLink,
    "acts-on-repeated-frame": hdlc.ActsOnRepeatedFrame,
    "misses-final-bit": hdlc.MissesFinalBit,
    "association-outlives-link": hdlc.AssociationOutlivesLink,
    "keeps-ports": wrapper.KeepsPorts,
    "takes-any-version": wrapper.TakesAnyVersion,
    "loses-joined-request": wrapper.LosesJoinedRequest,
    "holds-lost-association": wrapper.HoldsLostAssociation,
    "answers-before-opening": opening.AnswersBeforeOpening,
    "answers-after-release": opening.AnswersAfterRelease,
    "agrees-to-more": opening.AgreesToMore,
    "ignores-pdu-size": opening.IgnoresPduSize,
    "compares-prefix": opening.ComparesPrefix,
    "takes-short-challenge": opening.TakesShortChallenge,
    "repeats-challenge": opening.RepeatsChallenge,
    "exception-for-unknown": services.ExceptionForUnknown,
    "loses-invoke-id": services.LosesInvokeId,
    "list-ends-at-error": services.ListEndsAtError,
    "accepts-unknown-method": services.AcceptsUnknownMethod,
    "accepts-wrong-type": services.AcceptsWrongType,
    "deaf-after-unreadable": services.DeafAfterUnreadable,
    "counts-blocks-from-zero": blocks.CountsBlocksFromZero,
    "takes-any-block-number": blocks.TakesAnyBlockNumber,
    "ends-without-last-block": blocks.EndsWithoutLastBlock,
    "empty-block-without-transfer": blocks.EmptyBlockWithoutTransfer,
    "joins-set-with-gap": blocks.JoinsSetWithGap,
    "ignores-range": selection.IgnoresRange,
    "ignores-columns": selection.IgnoresColumns,
    "counts-entries-from-zero": selection.CountsEntriesFromZero,
    "range-ignores-deviation": selection.RangeIgnoresDeviation,
    "list-grants-too-much": rights.ListGrantsTooMuch,
    "writes-without-right": rights.WritesWithoutRight,
    "public-reads-all": rights.PublicReadsAll,
    "takes-used-counter": security.TakesUsedCounter,
    "forgets-counter": security.ForgetsCounter,
    "ignores-tag": security.IgnoresTag,
    "takes-clear-requests": security.TakesClearRequests,
    "answers-unencrypted": security.AnswersUnencrypted,
    "answers-under-clients-title": security.AnswersUnderClientsTitle,
    "profile-unlike-register": values.ProfileUnlikeRegister,
    "row-of-the-future": values.RowOfTheFuture,
    "rows-off-the-grid": values.RowsOffTheGrid,
    "lists-columns-in-other-order": values.ListsColumnsInOtherOrder,
    "wrong-weekday": values.WrongWeekday,
    "daylight-bit-stuck": values.DaylightBitStuck,
    "shows-whole-minutes": values.ShowsWholeMinutes,
    "takes-no-such-date": values.TakesNoSuchDate,
    "register-falls": values.RegisterFalls,
    "zero-at-first": values.ZeroAtFirst,
    "scaler-without-sign": values.ScalerWithoutSign,
    "energy-in-watts": values.EnergyInWatts,
}
"""In the order of the table."""
