//! What the recommender can be tuned by: how a model is built and how it is asked.
//!
//! What must stay true: every parameter has one name, by which a file sets it and a search varies it.
use thiserror::Error;

/// Parameters. Those that end in `_days` are decays over days, other decays are over positions; 0 switches a decay off.
#[derive(Clone, Debug, PartialEq)]
pub struct Params {
    /// Newest items of the session that are looked at.
    pub context: f32,
    /// Newest sessions of each of them that are compared with.
    pub recent: f32,
    /// Sessions that count, the most similar.
    pub neighbours: f32,
    /// Decay of an item's say over its position in the session.
    pub context_decay: f32,
    /// Power of an item's rarity in the similarity of two sessions.
    pub rarity: f32,
    /// Power by which long sessions count less.
    pub length: f32,
    pub age_days: f32,
    /// Power that the similarity is taken to.
    pub sharpness: f32,
    /// Decay over what came after the shared item.
    pub forward: f32,
    /// Share of what came before it.
    pub backward_share: f32,
    pub backward: f32,
    /// Decay over the position of the shared item in the session.
    pub anchor_decay: f32,
    /// Power of a candidate's rarity.
    pub candidate_rarity: f32,
    /// Weight of the item-to-item lists beside the neighbours.
    pub lists: f32,
    /// Decay over the position of the item whose list it is.
    pub lists_context_decay: f32,
    /// Weight of what follows what follows.
    pub second_hop: f32,
    /// Sum of a list at which the second hop weighs half; 0 if it always weighs all.
    pub hop_support: f32,
    /// Steps that the shop's share of returns weighs, beside those of the session.
    pub return_prior: f32,
    /// How much less each earlier step says about returning than the one after it, from 0 to 1.
    pub return_memory: f32,
    /// What is seen counts so many times more, times the share of steps that return.
    pub seen_factor: f32,
    /// What is added for what is seen, times that share, falling by a power of its position.
    pub seen_bonus: f32,
    pub seen_decay: f32,
    /// Power of the times it was seen.
    pub seen_again: f32,
    /// What was seen just before an earlier look at the item at hand counts so many times more, and once.
    pub seen_back: f32,
    pub popularity: f32,
    /// Power that popularity is taken to.
    pub popularity_power: f32,
    /// Positions that a list looks to either side.
    pub list_reach: f32,
    /// Power of the distance in a list.
    pub list_distance: f32,
    /// Share of what came before.
    pub list_backward: f32,
    pub list_age_days: f32,
    /// Longest list.
    pub list_length: f32,
    /// Power by which full lists count less.
    pub list_norm: f32,
    /// Power of an entry's rarity.
    pub list_rarity: f32,
    /// VMIS-kNN: sessions looked at, sessions that count, items of the session.
    pub vmis_recent: f32,
    pub vmis_neighbours: f32,
    pub vmis_context: f32,
}

type Field = fn(&mut Params) -> &mut f32;

macro_rules! fields {
    ($($name:ident),* $(,)?) => { &[$((stringify!($name), |it| &mut it.$name)),*] };
}

/// Every parameter by its name.
pub const FIELDS: &[(&str, Field)] = fields![
    context,
    recent,
    neighbours,
    context_decay,
    rarity,
    length,
    age_days,
    sharpness,
    forward,
    backward_share,
    backward,
    anchor_decay,
    candidate_rarity,
    lists,
    lists_context_decay,
    second_hop,
    hop_support,
    return_prior,
    return_memory,
    seen_factor,
    seen_bonus,
    seen_decay,
    seen_again,
    seen_back,
    popularity,
    popularity_power,
    list_reach,
    list_distance,
    list_backward,
    list_age_days,
    list_length,
    list_norm,
    list_rarity,
    vmis_recent,
    vmis_neighbours,
    vmis_context,
];

/// A line of parameters that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line} of the parameters: {what}")]
pub struct ParamsError {
    pub line: usize,
    pub what: String,
}

/// Where what the session has seen may be shown again.
impl Default for Params {
    fn default() -> Params {
        Params {
            context: 12.0,
            recent: 100.0,
            neighbours: 150.0,
            context_decay: 4.0,
            rarity: 3.0,
            length: 0.4,
            age_days: 80.0,
            sharpness: 1.6,
            forward: 3.5,
            backward_share: 0.9,
            backward: 8.0,
            anchor_decay: 2.5,
            candidate_rarity: 0.5,
            lists: 0.7,
            lists_context_decay: 1.4,
            second_hop: 1.0,
            hop_support: 0.0,
            return_prior: 4.0,
            return_memory: 0.7,
            seen_factor: 3.5,
            seen_bonus: 9.0,
            seen_decay: 1.0,
            seen_again: 0.67,
            seen_back: 1.0,
            popularity: 0.09,
            popularity_power: 1.0,
            list_reach: 6.0,
            list_distance: 1.7,
            list_backward: 0.93,
            list_age_days: 90.0,
            list_length: 50.0,
            list_norm: 0.5,
            list_rarity: 0.35,
            vmis_recent: 1502.0,
            vmis_neighbours: 288.0,
            vmis_context: 4.0,
        }
    }
}

impl Params {
    /// Where only what is new to the session is shown: what follows what counts for more, order for less.
    pub fn novel() -> Params {
        Params {
            context: 8.0,
            context_decay: 6.0,
            rarity: 1.0,
            length: 0.35,
            sharpness: 2.0,
            forward: 2.0,
            backward: 12.0,
            anchor_decay: 8.0,
            candidate_rarity: 1.1,
            lists: 1.7,
            popularity: 0.04,
            popularity_power: 0.5,
            ..Params::default()
        }
    }

    /// Sets what `text` names, one `name = value` a line; `#` begins a comment.
    ///
    /// # Errors
    /// If a line is no such thing, or names what there is not.
    pub fn read(mut self, text: &str) -> Result<Params, ParamsError> {
        for (number, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let refuse = |what: String| ParamsError { line: number + 1, what };
            let (name, value) = line.split_once('=').ok_or_else(|| refuse("it is not `name = value`".to_owned()))?;
            let (name, value) = (name.trim(), value.trim());
            let found = FIELDS.iter().find(|(it, _)| *it == name);
            let (_, field) = found.ok_or_else(|| refuse(format!("there is no parameter {name}")))?;
            let value: f32 = value.parse().map_err(|_| refuse(format!("{value} is no number")))?;
            if !Params::is_valid(value) {
                return Err(refuse(format!("{name} is from 0 to a million")));
            }
            *field(&mut self) = value;
        }
        Ok(self)
    }

    /// In the order of [`FIELDS`].
    pub(super) fn values(&self) -> Vec<f32> {
        let mut it = self.clone();
        FIELDS.iter().map(|(_, field)| *field(&mut it)).collect()
    }

    pub(super) fn is_valid(value: f32) -> bool {
        (0.0..=1e6).contains(&value)
    }

    /// As [`Params::read`] reads it.
    pub fn text(&self) -> String {
        let mut it = self.clone();
        FIELDS.iter().map(|(name, field)| format!("{name} = {}\n", field(&mut it))).collect()
    }
}

/// A parameter that counts things.
pub(super) fn count(value: f32) -> usize {
    // Truncates on purpose: a count is given as a whole number.
    (value.max(0.0) as i64).unsigned_abs() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both ask one file.
    #[test]
    fn only_what_a_query_reads_differs_for_what_is_new() {
        let (mut shown, mut novel) = (Params::default(), Params::novel());
        for (name, field) in FIELDS.iter().filter(|(name, _)| name.starts_with("list_") || *name == "recent") {
            assert_eq!(field(&mut shown), field(&mut novel), "{name}");
        }
    }

    #[test]
    fn parameters_are_read_as_they_are_written() {
        let odd = Params { rarity: 1.25, vmis_context: 9.0, ..Params::default() };
        assert_eq!(Params::default().read(&odd.text()).unwrap(), odd);
        assert_eq!(Params::default().read("# nothing\n\n rarity=1.25 # but this\nvmis_context = 9").unwrap(), odd);
    }

    #[test]
    fn what_is_no_parameter_is_refused_with_its_line() {
        for (text, line) in [("rarity", 1), ("\nrarities = 2", 2), ("rarity = much", 1), ("rarity = -1", 1)] {
            assert_eq!(Params::default().read(text).unwrap_err().line, line, "{text}");
        }
        assert!(Params::default().read("rarity = NaN").is_err());
    }
}
